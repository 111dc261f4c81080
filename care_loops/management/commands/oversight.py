"""`manage.py oversight`: the figures of oversight, the same as on the page."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from care_loops.presenters.figures_of_oversight import as_data, kappa_shown, page_shown, period_shown
from care_loops.selectors.oversight import Oversight, oversight


class Command(BaseCommand):
    """Parse, make one call, say what came of it. Reads only."""

    help = "Decisions on proposals by model and by team, second readings, and alerts against their budget. Reads only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """As of when."""
        parser.add_argument("--now", help="as of this moment (ISO 8601 with zone); the weeks before it are looked at")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """Groups that may not be shown are named, with nothing of them."""
        found = oversight(now=_moment(options["now"]))
        self.stdout.write(json.dumps(as_data(found)) if options["as_json"] else _in_words(found))


def _moment(said: str | None) -> datetime:
    if said is None:
        return timezone.now()
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as wrong:
        raise CommandError(f"--now is no moment: {said}") from wrong
    if moment.tzinfo is None:
        raise CommandError("--now needs its zone, as in 2026-03-30T10:00:00+02:00.")
    return moment


def _in_words(found: Oversight) -> str:
    shown = page_shown(found)
    lines = [f"{period_shown(found.period)} ({found.rules.version})"]
    for group in (*shown["models"], *shown["teams"]):
        if not group.shown:
            lines.append(f"{group.title}: not shown, too few people")
            continue
        lines.append(f"{group.title}: {group.decided} decisions by {group.deciders} people")
        lines += [f"  {what}: {figure} ({said})" for what, figure, said in group.lines]
        lines += [f"  ! {signal}" for signal in group.signals]
    if found.second is not None:
        lines.append(f"second readings: {' '.join(kappa_shown(found.second))}")
    lines += [
        f"alerts, {load['team']}: {load['rate']} a clinician-day, budget {load['budget']}" for load in shown["loads"]
    ]
    return "\n".join(lines)
