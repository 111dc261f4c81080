"""`manage.py run_loops`: one turn of the clock, now or at a time handed in."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from care_loops.services import turn
from governance.services import acting_job


class Command(BaseCommand):
    """Parse, read the clock, make one call, say what came of it."""

    help = "Escalate alerts, expire what is too old, look again at what waits, close due windows, remind patients."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--now", help="ISO date and time with offset; without it, the clock's")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """One turn."""
        now = _moment(options["now"]) if options["now"] else timezone.now()
        done = turn(by=acting_job("run-loops", str(uuid4())), now=now)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(
            f"{done.escalated} alerts escalated; {done.expired} recommendations expired, {done.withdrawn} withdrawn; "
            f"{done.closed} windows closed: {done.proposed} proposed, {done.withheld} withheld; "
            f"{done.reminded} reminders sent."
        )


def _moment(text: str) -> datetime:
    """A moment in time; a time without offset is none."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as err:
        raise CommandError(f"--now: {text!r} is not an ISO date and time.", returncode=2) from err
    if read.tzinfo is None:
        raise CommandError(f"--now: {text!r} lacks an offset, such as Z or +01:00.", returncode=2)
    return read
