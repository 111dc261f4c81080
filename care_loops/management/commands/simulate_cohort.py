"""`manage.py simulate_cohort --patients N --seed S --family NAME --out DIR`: synthetic people, published effects."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from care_loops.pathways.hypertension.cohort_simulator.course import Plan
from care_loops.pathways.hypertension.cohort_simulator.people import BadCohort
from care_loops.services.cohorts import write_cohort


class Command(BaseCommand):
    """Parse, make one call, say what was written. The database is not touched."""

    help = (
        "Simulate a cohort with published effects and spreads, for training and testing; write it with a manifest. "
        "Synthetic, and labelled so."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many, of which family, where to."""
        parser.add_argument("--patients", type=int, required=True)
        parser.add_argument("--windows", type=int, default=7, help="windows of 28 days; the last is outcome only")
        parser.add_argument("--seed", type=int, required=True, help="the same seed writes the same bytes")
        parser.add_argument("--family", default="published", help="a family of cohort_families")
        parser.add_argument("--out", type=Path, required=True, help="a folder that is empty or not there")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the manifest")

    def handle(self, *_: Any, **options: Any) -> None:
        """Progress goes to the error stream."""
        try:
            plan = Plan(options["patients"], options["windows"], options["seed"])
            manifest = write_cohort(plan, options["family"], options["out"], progress=self._progress)
        except BadCohort as refusal:
            raise CommandError(f"bad-cohort: {refusal}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps(manifest))
            return
        counted = f"{manifest['rows']} windows of {manifest['people']} people, {manifest['censored']} without outcome"
        self.stdout.write(f"{manifest['label']}\n{counted}; family {manifest['family']}; in {options['out']}")

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"window {done} of {total}")
