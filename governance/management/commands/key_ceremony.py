"""Confirm the first administrator's own passkey in front of witnesses: nobody else is there yet who could."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.domain import Method, NotFound, Refusal
from governance.presenters import fingerprint
from governance.selectors import account_named
from governance.services import acting_person
from governance.services.credentials import confirm_by_ceremony, live


class Command(BaseCommand):
    """`manage.py key_ceremony --username ada --witness "Grace Ward" --witness "Joan Clarke"`"""

    help = "Confirm the first administrator's passkey, once for a site. Without a witness it shows the mark to compare."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose passkey, and who sees it."""
        parser.add_argument("--username", required=True, help="the first administrator")
        parser.add_argument("--witness", action="append", default=[], help="the full name of somebody present")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now = timezone.now()
        try:
            user = account_named(options["username"])
            passkey = live(user, Method.WEBAUTHN).first()
            if passkey is None:
                raise NotFound(f"{options['username']} has enrolled no passkey yet: sign in and enrol one first.")
            mark = fingerprint(passkey.public_key)
            if not options["witness"]:
                self.stdout.write(f"The mark of {user.printed_name}'s passkey is {mark}.")
                self.stdout.write("Compare it with /people/waiting/, then name who is present: --witness NAME")
                return
            witnesses = tuple(options["witness"])
            confirm_by_ceremony(passkey.pk, witnesses=witnesses, by=acting_person(user, now=now), now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps({"credential": str(passkey.pk), "mark": mark, "witnesses": witnesses}))
        else:
            self.stdout.write(f"{user.printed_name}'s passkey {mark} may sign from now on. It was witnessed.")
