"""`manage.py demo`: the synthetic hospital, played to its end once and afterwards looked at. `make demo` serves it."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from edge_wearables.simulators.hospital.cases import cases
from edge_wearables.simulators.hospital.figures import figures, in_words
from edge_wearables.simulators.hospital.founding import where_to_sign_in
from edge_wearables.simulators.hospital.imported import bundles
from edge_wearables.simulators.hospital.play import play
from governance.domain import Refusal

STOPPED = 2


class Command(BaseCommand):
    """Parse, read the clock, play, say what it came to. Exit 0 only when the record verifies."""

    help = "Play eight simulated weeks of a synthetic hospital through the doors and services of the real one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--headless", action="store_true", help="print one JSON object last")
        parser.add_argument("--data", type=Path, metavar="PATH", help="FHIR R4 files instead of our own patients")
        parser.add_argument("--patients", type=_count, help="how many patients; without it, every case once")
        parser.add_argument("--weeks", type=_count, default=8)
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument(
            "--disks", type=Path, default=settings.HOME.path / "demo", help="where the devices' disks lie"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Play, then look."""
        self.began = time.monotonic()
        try:
            imported = bundles(options["data"], limit=options["patients"]) if options["data"] else None
            play(
                cases(options["patients"]),
                options["disks"],
                weeks=options["weeks"],
                seed=options["seed"],
                now=timezone.now(),
                say=self._say,
                imported=imported,
            )
        except (Refusal, OSError) as reason:
            raise CommandError(str(getattr(reason, "detail", reason)), returncode=STOPPED) from reason
        self._say("verifying the record")
        found = figures()
        self.stdout.write(where_to_sign_in(now=timezone.now()))
        self.stdout.write(json.dumps(found) if options["headless"] else in_words(found))
        if not found["verified"]:
            sys.exit(1)

    def _say(self, words: str) -> None:
        self.stderr.write(f"{time.monotonic() - self.began:6.1f} s  {words}")
        self.stderr.flush()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
