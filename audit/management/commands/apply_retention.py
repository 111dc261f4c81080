"""`manage.py apply_retention`: what has expired under the retention policy goes, each class beside its tombstone."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.domain import Job
from audit.retention import policy
from audit.services.retention import Purged, RetentionRefused, apply


class Command(BaseCommand):
    """Parse, purge, say."""

    help = "Take away what has expired under the retention policy; a tombstone in the record says what went."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--now", help="an ISO time with zone: apply the policy as of then")
        parser.add_argument("--dry-run", action="store_true", help="count only")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when it is done, 1 when it was refused, 2 when the time cannot be read or has not come."""
        now = _time(options["now"]) if options["now"] else timezone.now()
        if now > timezone.now():
            raise CommandError("nothing expires before its time: --now lies in the future", returncode=2)
        try:
            found = apply(by=Job("apply-retention", str(uuid.uuid4())), now=now, dry=options["dry_run"])
        except RetentionRefused as err:
            raise CommandError(str(err)) from err
        self.stdout.write(_as_json(found, options["dry_run"]) if options["json"] else _in_words(found))


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text[:40]!r} is not an ISO time", returncode=2) from None
    if found.tzinfo is None:
        raise CommandError("the time needs its zone, such as +00:00", returncode=2)
    return found


def _as_json(found: tuple[Purged, ...], dry: bool) -> str:
    classes = [
        {
            "class": each.name,
            "cutoff": each.cutoff.isoformat(),
            "purged": sum(gone.count for gone in each.gone),
            "held": sum(held.count for held in each.held),
            "entries": [str(gone.entry) for gone in each.gone if gone.entry],
            "holds": sorted({name for held in each.held for name in held.holds}),
        }
        for each in found
    ]
    return json.dumps({"policy": policy().version, "dry_run": dry, "classes": classes})


def _in_words(found: tuple[Purged, ...]) -> str:
    lines = []
    for each in found:
        count, held = sum(gone.count for gone in each.gone), sum(held.count for held in each.held)
        lines.append(f"{each.name}: {count} before {each.cutoff:%Y-%m-%d}, in {len(each.gone)} tombstones.")
        if held:
            names = sorted({name for one in each.held for name in one.holds})
            lines.append(f"  {held} stay under legal hold: {', '.join(names)}.")
    return "\n".join(lines)
