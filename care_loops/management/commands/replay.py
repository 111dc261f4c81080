"""`manage.py replay LOOP_ID`: compute a past recommendation again from what was kept; exit 0 only when identical.

With `--bundle` from an exported bundle alone, once it verifies under the policy file; the database is not read.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from care_loops.services.replay import ReplayResult, replay, replay_bundle
from governance.domain import Refusal


class Command(BaseCommand):
    """Parse, make one call, say what came of it."""

    help = "Recompute a recommendation from its frozen evidence; name the first difference, or say identical."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one."""
        parser.add_argument("loop_id", metavar="LOOP_ID")
        parser.add_argument("--bundle", type=Path, help="an exported bundle, instead of the record here")
        parser.add_argument("--policy", type=Path, help="your own policy file, under which the bundle is verified")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Exit 0 when identical, 1 when not, 2 when there is no such recommendation."""
        try:
            result = _replayed(options)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}", returncode=2) from refusal
        if options["json"]:
            self.stdout.write(json.dumps({"loop": str(options["loop_id"]), **asdict(result)}))
        elif result.identical:
            self.stdout.write("identical")
        else:
            self.stdout.write(
                f"differs first in {result.first_difference}\nkept:     {result.kept}\ncomputed: {result.computed}\n"
                f"no longer what it was: {', '.join(result.other_version) or 'nothing'}"
            )
        if not result.identical:
            sys.exit(1)


def _replayed(options: dict[str, Any]) -> ReplayResult:
    bundle, policy = options["bundle"], options["policy"]
    if (bundle is None) != (policy is None):
        raise CommandError("A bundle is replayed under a policy file: give both --bundle and --policy.", returncode=2)
    loop_id = _identifier(str(options["loop_id"]))
    return replay(loop_id) if bundle is None else replay_bundle(loop_id, bundle, policy=policy)


def _identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as err:
        raise CommandError(f"{text!r} is not the identifier of a recommendation.", returncode=2) from err
