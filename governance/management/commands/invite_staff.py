"""Invite a member of staff: prints a link that works once."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.domain import STAFF_ROLES, Refusal, Role
from governance.selectors import account_named
from governance.services import acting_person
from governance.services.accounts import invite


class Command(BaseCommand):
    """`manage.py invite_staff --by ada --role clinician --email grace@example.org`"""

    help = "Invite a member of staff to one role. Prints the one-time link; it is shown only now."

    def add_arguments(self, parser: CommandParser) -> None:
        """Who invites whom, to what."""
        parser.add_argument("--by", required=True, help="user name of the administrator who invites")
        parser.add_argument("--role", required=True, choices=sorted(role.value for role in STAFF_ROLES))
        parser.add_argument("--email", required=True)
        parser.add_argument("--site", default="http://127.0.0.1:8000", help="where this site is reached")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            invited = invite(options["email"], Role(options["role"]), by=by, now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        link = f"{options['site'].rstrip('/')}/invitations/{invited.token}/"
        until = invited.invitation.expires_at
        if options["as_json"]:
            self.stdout.write(json.dumps({"link": link, "role": options["role"], "expires_at": until.isoformat()}))
        else:
            self.stdout.write(f"Give this link to {options['email']}. It works once, until {until:%Y-%m-%d %H:%M} UTC:")
            self.stdout.write(link)
