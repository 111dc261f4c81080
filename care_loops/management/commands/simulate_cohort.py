"""`manage.py simulate_cohort --patients N --seed S --family NAME --out DIR`: synthetic people, published effects."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from care_loops.pathways.hypertension.cohort_simulator.people import BadCohort
from care_loops.pathways.hypertension.cohort_simulator.sealing import NotOpened
from care_loops.services.cohorts import Source, open_source, sealed_source, write_cohort


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
        parser.add_argument("--seed", type=int, help="the same seed writes the same bytes; not with --sealed")
        parser.add_argument("--family", default="published", help="a family of cohort_families")
        parser.add_argument("--sealed", type=Path, help="a box of sealed families, whose seed and strengths are used")
        parser.add_argument("--share", type=Path, action="append", default=[], help="the file of each custodian")
        parser.add_argument("--out", type=Path, required=True, help="a folder that is empty or not there")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the manifest")

    def handle(self, *_: Any, **options: Any) -> None:
        """Progress goes to the error stream."""
        try:
            manifest = write_cohort(
                _source(options),
                people=options["patients"],
                windows=options["windows"],
                out=options["out"],
                progress=self._progress,
            )
        except BadCohort as refusal:
            raise CommandError(f"bad-cohort: {refusal}") from refusal
        except NotOpened as refusal:
            raise CommandError(f"not-opened: {refusal}") from refusal
        if options["as_json"]:
            self.stdout.write(json.dumps(manifest))
            return
        counted = f"{manifest['rows']} windows of {manifest['people']} people, {manifest['censored']} without outcome"
        self.stdout.write(f"{manifest['label']}\n{counted}; family {manifest['family']}; in {options['out']}")

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"window {done} of {total}")


def _source(options: dict[str, Any]) -> Source:
    """Either a seed of the caller's or a sealed box. Raises `BadCohort`, `NotOpened`."""
    if (options["seed"] is None) == (options["sealed"] is None):
        raise BadCohort("seed: give --seed, or --sealed with a --share for each custodian, and not both")
    if options["sealed"] is None:
        return open_source(options["family"], options["seed"])
    return sealed_source(options["family"], options["sealed"], options["share"])
