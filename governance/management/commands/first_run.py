"""Make a new site's first administrator. Works once; everybody else is invited."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.domain import Refusal
from governance.services.accounts import NewAccount, found_site


class Command(BaseCommand):
    """`manage.py first_run --username ada --given-name Ada --family-name Byron`"""

    help = "Make the first administrator of a new site. The password is asked for, or read from standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        """Who the administrator is."""
        parser.add_argument("--username", required=True)
        parser.add_argument("--given-name", required=True)
        parser.add_argument("--family-name", required=True)
        parser.add_argument("--email", default="")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        new = NewAccount(
            username=options["username"],
            given_name=options["given_name"],
            family_name=options["family_name"],
            password=_password(from_stdin=options["password_stdin"]),
            email=options["email"],
        )
        try:
            user = found_site(new, now=timezone.now())
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps({"administrator": user.username, "id": str(user.pk)}))
        else:
            self.stdout.write(
                f"{user.printed_name} is the first administrator of this site and signs in as {user.username}."
            )
            self.stdout.write("Next: manage.py invite_staff --by " + user.username + " --role clinician --email ...")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password (at least 12 characters): ")
    if getpass.getpass("Once more: ") != first:
        raise CommandError("The two passwords differ.")
    return first
