"""`manage.py export_examples`: labelled examples as NDJSON, one line each. Without research consent only on request."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from models.registry.selectors import labelled_examples


class Command(BaseCommand):
    """Parse, make one call, print."""

    help = (
        "Print what clinicians decided and what came of it, with the evidence it was decided on, as NDJSON. Those of "
        "people who did not consent to research are left out; --for-care keeps them, for the review of care alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which pathway, and for what."""
        parser.add_argument("--pathway", default="hypertension")
        parser.add_argument("--for-care", action="store_true", help="also without research consent")

    def handle(self, *_: Any, **options: Any) -> None:
        """One line for each example."""
        for example in labelled_examples(options["pathway"]):
            if example["research_consent"] or options["for_care"]:
                self.stdout.write(json.dumps(example, sort_keys=True))
