"""`manage.py detach_segment N`: the entries of a sealed segment leave the database, as its owner; their proofs stay."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.services.archives import SegmentRefused
from audit.services.segments import detach


class Command(BaseCommand):
    """Parse, detach, say."""

    help = "Let the entries of a sealed segment leave the database, once its archive is there and is the sealed one."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("number", type=int)
        parser.add_argument("--archives", required=True, type=Path, help="the folder of the archives")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when they left, 1 when it was refused."""
        by = Job("detach-segment", str(uuid.uuid4()))
        try:
            done = detach(options["number"], archives=options["archives"], by=by, now=timezone.now())
        except SegmentRefused as err:
            raise CommandError(str(err)) from err
        except OSError as err:
            raise CommandError(f"{err.filename}: {err.strerror}", returncode=2) from err
        self.stdout.write(
            f"Segment {done.number} is detached: entries {done.start} to {done.stop - 1} are in {done.archive}."
        )
