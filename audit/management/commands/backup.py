"""`manage.py backup RECORD KEYS`: both parts of a backup, of one moment, in two folders that are kept apart."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.services.backups import BackupRefused, Parts, back_up


class Command(BaseCommand):
    """Parse, back up, say."""

    help = "Write the record and, apart from it, the keys. Runs while the site serves."

    def add_arguments(self, parser: CommandParser) -> None:
        """The two folders."""
        parser.add_argument("record", type=Path, help="an empty folder for the record's part")
        parser.add_argument(
            "keys", type=Path, help="an empty folder elsewhere for the keys' part, kept for a short time"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when both parts are written and the record says so."""
        try:
            done = back_up(
                Parts(options["record"], options["keys"]),
                by=Job("backup", str(uuid.uuid4())),
                now=timezone.now(),
                say=self.stderr.write,
            )
        except BackupRefused as refused:
            raise CommandError(f"{refused.code}: {refused}", returncode=2) from refused
        except OSError as err:
            raise CommandError(f"{err.filename}: {err.strerror}", returncode=2) from err
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(
            f"Backed up: {done.entries} entries, {done.pending} pending, signed up to {done.signed}."
            f" Manifest {done.manifest_sha256}."
        )
        self.stdout.write(
            "Take the keys' part to another place, and destroy it when the next one is made: what was shredded is gone"
            " only when no older keys' part is left. The signer's key and memory are backed up where the signer runs."
        )
