"""Somebody leaves: their patients pass to a successor, and their roles, tokens and account end, all at one moment."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from care_loops.services.joining import hand_over
from governance.domain import Refusal
from governance.selectors import account_named
from governance.services import acting_person


class Command(BaseCommand):
    """`manage.py hand_over --from grace --to joan --by ada`"""

    help = "Hand a leaver's patients to a successor and end the leaver's account."

    def add_arguments(self, parser: CommandParser) -> None:
        """From whom, to whom, by whom."""
        parser.add_argument("--from", dest="leaver", required=True)
        parser.add_argument("--to", dest="successor", required=True)
        parser.add_argument("--by", required=True, help="user name of the administrator who does it")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            leaver, successor = account_named(options["leaver"]), account_named(options["successor"])
            handed = hand_over(leaver, successor, by=by, now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps({"patients": handed, "from": leaver.username, "to": successor.username}))
        else:
            self.stdout.write(f"{handed} patients pass to {successor.printed_name}. {leaver.printed_name} has left.")
