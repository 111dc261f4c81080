"""`manage.py ingest_readings FILE --patient ID --format NAME`: a vendor's file into the record."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from care_loops.domain.readings import Method, Setting
from edge_wearables.domain import Unreadable
from edge_wearables.formats import FILES, fields
from edge_wearables.services.files import FileTaken, VendorFile, ingest_file
from governance.domain import Refusal
from governance.services import acting_job

MAX_FILE = 64 * 1024 * 1024


class Command(BaseCommand):
    """Readings of one patient from one file. Exit 0 only when every reading was read."""

    help = "Take in a vendor's file of readings for one patient."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How the pressures were taken is stated here, or stays unknown and never titrates."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--patient", type=UUID, required=True, help="the patient's identifier")
        parser.add_argument("--format", choices=FILES, required=True)
        parser.add_argument("--zone", help="IANA zone of readings that do not carry their own")
        parser.add_argument("--method", choices=[m.value for m in Method], default=Method.UNKNOWN.value)
        parser.add_argument("--validated", action="store_true", help="the cuff is on a list of validated devices")
        parser.add_argument("--setting", choices=[s.value for s in Setting], default=Setting.UNKNOWN.value)
        parser.add_argument("--now", help="the time to take them in at, with its offset; by default the clock's")
        parser.add_argument("--json", action="store_true")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read the file, take it in, say what became of it."""
        path: Path = options["file"]
        try:
            if path.stat().st_size > MAX_FILE:
                raise CommandError(f"{path} is larger than {MAX_FILE} bytes.")
            content = path.read_bytes()
        except OSError as err:
            raise CommandError(f"{path} cannot be read: {err.strerror}.") from err
        file = VendorFile(
            content=content,
            format=options["format"],
            zone=options["zone"],
            method=Method(options["method"]),
            validated=options["validated"],
            setting=Setting(options["setting"]),
        )
        try:
            by = acting_job("ingest_readings", str(uuid4()))
            taken = ingest_file(file, patient_id=options["patient"], by=by, now=_now(options["now"]))
        except Refusal as why:
            raise CommandError(f"{why.code}: {why.detail}") from why
        self._say(taken, as_json=options["json"], patient=str(options["patient"]))
        if taken.refused:
            raise CommandError("Some readings were refused; they are kept with their reason.", returncode=3)

    def _say(self, taken: FileTaken, *, as_json: bool, patient: str) -> None:
        if as_json:
            said = {
                "patient": patient,
                "readings": taken.readings,
                "samples": taken.samples,
                "refused": taken.refused,
                "alerts": taken.alerts,
            }
            self.stdout.write(json.dumps(said))
            return
        for name, count in taken.readings.items():
            self.stdout.write(f"{count:6d} readings {name}")
        self.stdout.write(f"{taken.samples:6d} samples stored")
        for code, count in sorted(taken.refused.items()):
            self.stdout.write(f"{count:6d} refused: {code}")
        self.stdout.write(f"{taken.alerts:6d} alerts raised or touched")


def _now(text: str | None) -> datetime:
    if text is None:
        return timezone.now()
    try:
        return fields.instant(text, name="--now")
    except Unreadable as why:
        raise CommandError(why.detail) from why
