"""`manage.py found_successor_log`: begin a new log whose first entry names the old one and what of it is missing."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit import notes
from audit.domain import Job
from audit.services.genesis import Lost, SuccessorRefused, found_successor


class Command(BaseCommand):
    """Parse, begin, say."""

    help = "Begin a log under a new name as the successor of one of which witnesses have seen more than is left."

    def add_arguments(self, parser: CommandParser) -> None:
        """What is known of the old log."""
        parser.add_argument("--checkpoint", required=True, type=Path, help="the old log's last cosigned checkpoint")
        parser.add_argument("--key", required=True, help="the verifier key that signed it, as handed round")
        parser.add_argument("--entries-left", required=True, type=int, help="how many of its entries are still there")
        parser.add_argument("--incident", required=True, help="where the incident is written down")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when the log has begun, 1 when it was refused, 2 when what was handed in cannot be read."""
        try:
            note, key = options["checkpoint"].read_bytes(), notes.VerifierKey.parse(options["key"])
        except OSError as err:
            raise CommandError(f"the checkpoint cannot be read: {err.strerror}", returncode=2) from err
        except notes.NoteInvalid as err:
            raise CommandError(f"the key cannot be read: {err}", returncode=2) from err
        lost = Lost(note, key, options["entries_left"], options["incident"])
        try:
            head = found_successor(lost, by=Job("found-successor-log", str(uuid.uuid4())), now=timezone.now())
        except SuccessorRefused as err:
            raise CommandError(str(err)) from err
        self.stdout.write(
            f"This log has begun. Its first entry names {head.origin}, {head.size} entries, of which those from"
            f" {lost.entries_left} on are missing. Have it signed and cosigned before anything else is written."
        )
