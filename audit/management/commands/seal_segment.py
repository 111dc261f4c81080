"""`manage.py seal_segment`: write the archive of the next part of the log, read it back, and record its digest."""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.services.archives import SegmentRefused
from audit.services.exporting import ExportRefused
from audit.services.segments import seal


class Command(BaseCommand):
    """Parse, seal, say."""

    help = "Write the next part of the log into an archive and record its digest. Nothing leaves the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--until", required=True, help="an ISO time with zone: entries before it")
        parser.add_argument("--out", required=True, type=Path, help="the folder of the archives")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when it is sealed, 1 when it was refused, 2 when the time or the folder cannot be used."""
        try:
            until = datetime.fromisoformat(options["until"])
        except ValueError:
            raise CommandError(f"{options['until'][:40]!r} is not an ISO time", returncode=2) from None
        if until.tzinfo is None:
            raise CommandError("the time needs its zone, such as +00:00", returncode=2)
        try:
            done = seal(until=until, out=options["out"], by=Job("seal-segment", str(uuid.uuid4())), now=timezone.now())
        except (SegmentRefused, ExportRefused) as err:
            raise CommandError(str(err)) from err
        except OSError as err:
            raise CommandError(f"{err.filename}: {err.strerror}", returncode=2) from err
        self.stdout.write(
            f"Segment {done.number} is sealed: entries {done.start} to {done.stop - 1} in {done.archive},"
            f" SHA-256 {done.archive_sha256}. Copy it away, then: manage.py detach_segment {done.number}"
        )
