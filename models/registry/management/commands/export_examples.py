"""`manage.py export_examples`: labelled examples as NDJSON, one line each. Without research consent only on request."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from models.registry.services.datasets import export_dataset


class Command(BaseCommand):
    """Parse, make one call, print."""

    help = (
        "Print what clinicians decided and what came of it, with the evidence it was decided on, as NDJSON. Those of "
        "people who did not consent to research, or withdrew, are left out; people stand under pseudonyms; --for-care "
        "keeps them all, for the review of care alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which pathway, and for what."""
        parser.add_argument("--pathway", default="hypertension")
        parser.add_argument("--for-care", action="store_true", help="also without research consent")

    def handle(self, *_: Any, **options: Any) -> None:
        """One line for each example."""
        found = export_dataset(options["pathway"], for_care=options["for_care"], now=timezone.now())
        for example in found:
            self.stdout.write(json.dumps(example, sort_keys=True))
