"""Two records are one person: said once, with a reason. Nothing is moved; reading goes through both from then on."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from care_loops.services.enrol import merge_patients
from governance.domain import Refusal
from governance.selectors import account_named
from governance.services import acting_person


class Command(BaseCommand):
    """`manage.py merge_patients DUPLICATE --into KEPT --reason "registered twice" --by ada`"""

    help = "Say that two records are one person. What was written stays where it was written; it cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which record is taken into which, why, by whom."""
        parser.add_argument("absorbed", type=UUID, metavar="DUPLICATE", help="the record that is no longer used")
        parser.add_argument("--into", type=UUID, required=True, help="the record that stays")
        parser.add_argument("--reason", required=True, help="how it is known that both are one person")
        parser.add_argument("--by", required=True, help="user name of the administrator who does it")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            merge = merge_patients(options["absorbed"], options["into"], reason=options["reason"], by=by, now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps({"absorbed": str(merge.absorbed_id), "kept": str(merge.kept_id)}))
        else:
            self.stdout.write(f"{merge.absorbed_id} is now read as part of {merge.kept_id}.")
