"""`manage.py reidentify PSEUDONYM --by ada --reason "..."`: whose rows of a dataset these are. It is recorded."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from governance.domain import Refusal
from governance.selectors import account_named
from governance.services import acting_person

from ...services.datasets import who_is


class Command(BaseCommand):
    """Parse, read the clock, make one call, print."""

    help = "Say whose rows of an exported dataset these are, for who may search the record. It leaves an entry."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, by whom, why."""
        parser.add_argument("pseudonym", help="the subject as the dataset has it")
        parser.add_argument("--pathway", default="hypertension")
        parser.add_argument("--reason", required=True, help="why this person has to be known")
        parser.add_argument("--by", required=True, help="user name of who asks")

    def handle(self, *_: Any, **options: Any) -> None:
        """Parse, read the clock, make one call, say what came of it."""
        now = timezone.now()
        try:
            by = acting_person(account_named(options["by"]), now=now)
            found = who_is(options["pathway"], options["pseudonym"], reason=options["reason"], by=by, now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        self.stdout.write(found)
