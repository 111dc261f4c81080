"""`manage.py guards [--write]`: are triggers, functions, policies, rights, owners as installed; or draw the list anew.

Exit 0: as installed. 1: not, with one line for each difference. A developer who adds a table or a guard migrates, draws
up the list and commits it: the change of what the database enforces is then one diff.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from audit.services import guards


class Command(BaseCommand):
    """Compare, or write."""

    help = "Compare the database's triggers, functions, policies, rights and owners with what was installed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--write", action="store_true", help="draw up the list from this database (developers)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Say what differs, or write the list down."""
        with connection.cursor() as cursor:
            if options["write"]:
                Path(settings.AUDIT_GUARDS).write_text(guards.drawn_up(cursor), encoding="utf-8")
                self.stdout.write(f"Written: {settings.AUDIT_GUARDS}")
                return
            found = guards.differences(cursor)
        if found:
            raise CommandError("\n".join(found), returncode=1)
        self.stdout.write("As installed.")
