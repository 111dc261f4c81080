"""`manage.py seal_families --custodians 2 --out DIR`: the held-out families, drawn and locked before training."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.domain import Job
from care_loops.pathways.hypertension.cohort_simulator.people import BadCohort
from care_loops.pathways.hypertension.cohort_simulator.sealing import NotOpened
from care_loops.services.cohorts import seal_families


class Command(BaseCommand):
    """Parse, read the clock, make one call, say what is to be kept where."""

    help = (
        "Draw the held-out families of simulated cohorts and lock them for custodians other than the trainer; the "
        "digest of what is inside enters the record now, so that it is seen to be older than any training."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """For how many, and where to."""
        parser.add_argument("--custodians", type=int, default=2, help="all of them are needed to open it")
        parser.add_argument("--out", type=Path, required=True, help="a folder that is empty or not there")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """The shares are written to files, never printed."""
        by = Job(name="seal_families", run=str(uuid4()))
        try:
            said = seal_families(options["out"], custodians=options["custodians"], by=by, now=timezone.now())
        except BadCohort as refusal:
            raise CommandError(f"bad-cohort: {refusal}") from refusal
        except NotOpened as refusal:
            raise CommandError(f"not-sealed: {refusal}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps(said))
            return
        self.stdout.write(f"Sealed {', '.join(said['families'])}. Registered as {said['digest']}.")
        self.stdout.write("Give each custodian one share-N.txt and delete it here; keep box.json with the project.")
