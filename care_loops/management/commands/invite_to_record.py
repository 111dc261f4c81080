"""Invite a patient to their own record, or a carer to it: prints a link that works once."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from care_loops.services.joining import invite_to_record
from governance.domain import Refusal, Role
from governance.selectors import account_named
from governance.services import acting_person


class Command(BaseCommand):
    """`manage.py invite_to_record PATIENT --as patient --email mary@example.org --by ada`"""

    help = "Invite a patient or a carer to one record. Prints the one-time link; it is shown only now."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose record, who, and who invites."""
        parser.add_argument("patient", type=UUID)
        parser.add_argument("--as", dest="role", required=True, choices=[Role.PATIENT.value, Role.CARER.value])
        parser.add_argument("--email", required=True)
        parser.add_argument("--by", required=True, help="user name of who invites")
        parser.add_argument("--site", default="http://127.0.0.1:8000", help="where this site is reached")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            invited = invite_to_record(
                options["patient"], Role(options["role"]), email=options["email"], by=by, now=now
            )
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        link = f"{options['site'].rstrip('/')}/invitations/{invited.token}/"
        if options["as_json"]:
            self.stdout.write(json.dumps({"link": link, "expires_at": invited.invitation.expires_at.isoformat()}))
        else:
            self.stdout.write(f"Give this link to {options['email']}. It works once:")
            self.stdout.write(link)
