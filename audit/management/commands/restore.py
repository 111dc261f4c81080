"""`manage.py restore RECORD KEYS`: put a backup back into an empty database; exit 0 only when the record verifies and
no witness has seen more of it.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.services.backups import BackupRefused, Parts, record_restored, restore
from audit.services.verifying import verify_log
from audit.services.witnessing import LogShorterThanWitnessed, refuse_shorter_log


class Command(BaseCommand):
    """Parse, restore, verify, ask, say."""

    help = "Put both parts of a backup into an empty database, verify it all, and ask the witnesses."
    requires_system_checks = ()  # they look at tables that are not there yet

    def add_arguments(self, parser: CommandParser) -> None:
        """The two folders."""
        parser.add_argument("record", type=Path, help="the record's part")
        parser.add_argument("keys", type=Path, help="the keys' part of the same backup")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 1 when what was restored does not verify or is shorter than witnessed: nothing may be served from it."""
        try:
            manifest = restore(Parts(options["record"], options["keys"]), say=self.stderr.write)
        except BackupRefused as refused:
            raise CommandError(f"{refused.code}: {refused}", returncode=2) from refused
        except OSError as err:
            raise CommandError(f"{err.filename}: {err.strerror}", returncode=2) from err
        self.stderr.write("recomputing the record ...")
        report, pending = verify_log()
        if report.first_bad is not None:
            bad = report.first_bad
            raise CommandError(
                f"Restored, but NOT verified: {bad.code}. {bad.detail} Nothing may be served from this database.",
                returncode=1,
            )
        try:
            silent = refuse_shorter_log()
        except LogShorterThanWitnessed as shorter:
            raise CommandError(f"Restored and verified, but refused: {shorter}", returncode=1) from shorter
        record_restored(manifest, by=Job("restore", str(uuid.uuid4())), now=timezone.now())
        if options["json"]:
            self.stdout.write(
                json.dumps({"entries": report.entries, "pending": pending, "verified": True, "not_asked": silent})
            )
            return
        self.stdout.write(f"Restored and verified: {report.entries} entries, {pending} pending.")
        if silent:
            self.stdout.write(f"These witnesses could not be asked: {', '.join(silent)}. `serve` asks them again.")
