"""`manage.py demo_code USERNAME`: the code that a member of the demonstration's staff types at the second step."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.domain import Refusal

from ...simulators.hospital.founding import demonstration_code


class Command(BaseCommand):
    """Refused by name outside the demonstration, and in every mode but simulation."""

    help = "The current code of a member of the demonstration's staff. Refused anywhere else."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose code."""
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        try:
            self.stdout.write(demonstration_code(options["username"], now=timezone.now()))
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
