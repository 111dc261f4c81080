"""`manage.py what_if KIND FILE`: which past recommendations would have gone elsewhere under a proposed policy."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from care_loops.presenters.what_if import sentence
from care_loops.services.what_if import WhatIf, what_if
from governance.domain import Refusal
from governance.management.commands.policy import body_of
from governance.policy_kinds import PolicyKind

EVERY = 100


class Command(BaseCommand):
    """Parse, make one call, say what came of it. Nothing is written and nothing is sent."""

    help = (
        "Compute past recommendations again under a proposed policy; say which would have gone elsewhere. Reads only."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which policy, over how much of history."""
        parser.add_argument("kind", choices=[kind.value for kind in PolicyKind])
        parser.add_argument("file", type=Path, help="JSON: every part of a mode, or the option chosen for each row")
        parser.add_argument("--newest", type=int, help="only this many, the newest first")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """Progress goes to the error stream."""
        if options["newest"] is not None and options["newest"] < 1:
            raise CommandError("--newest is one or more.")
        try:
            kind, subject, body = body_of(options["kind"], options["file"])
            found = what_if(kind, subject, body, newest=options["newest"], progress=self._progress)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        self.stdout.write(json.dumps(_said(found)) if options["as_json"] else _in_words(found))

    def _progress(self, done: int, total: int) -> None:
        if done % EVERY == 0 or done == total:
            self.stderr.write(f"{done} of {total}")


def _said(found: WhatIf) -> dict[str, Any]:
    listed = [
        asdict(each) | {"loop_id": str(each.loop_id), "opened_at": each.opened_at.isoformat()}
        for each in found.elsewhere
    ]
    return {
        "kind": found.kind,
        "subject": found.subject,
        "looked_at": found.looked_at,
        "compared": found.compared,
        "not_compared": found.not_compared,
        "elsewhere": found.changed,
        "moves": [{"from": before, "to": after, "count": count} for before, after, count in found.moves],
        "loops": listed,
    }


def _in_words(found: WhatIf) -> str:
    lines = [sentence(found)]
    lines += [f"  {count:>6}  {before} -> {after}" for before, after, count in found.moves]
    lines += [f"{each.loop_id}  {each.before} -> {each.after}  {' '.join(each.rows)}" for each in found.elsewhere]
    return "\n".join(lines)
