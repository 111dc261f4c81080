"""`manage.py drill_kill_switch --by USER`: real processes watch a suspension begin and end; what they saw is kept.

It suspends a group of patients that nobody is in, so no care stops. `--watch` is what each process runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from governance.domain import Refusal
from governance.management.signing import SigningCommand
from governance.selectors import account_named
from governance.selectors.suspensions import stopping
from governance.services import Acting, acting_job, acting_person
from governance.services.drills import record_drill
from governance.services.suspensions import end_suspension, suspend
from governance.suspension import Cause, Ref, Scope

PATIENCE = 20.0  # seconds a process waits to see the beginning; for the end a person has to sign
SIGNS = 600.0
EVERY = 0.02


class Command(SigningCommand):
    """Throws nothing that stops care. Exit 0 only when every process saw the beginning and the end."""

    help = (
        "Drill: that a suspension takes effect on every process at its next act, and ends on every process. Recorded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many processes; who ends it, signed."""
        parser.add_argument("--by", help="user name of who may end suspensions; signs the end of the drill")
        parser.add_argument("--workers", type=int, default=3)
        parser.add_argument("--watch", help="what a watching process runs; not for people")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *_: Any, **options: Any) -> None:
        """Watch, or drill."""
        if options["watch"]:
            self._watch(Ref(Scope.COHORT, options["watch"]))
            return
        if not options["by"] or not 1 <= options["workers"] <= 64:
            raise CommandError("Say who ends the drill (--by USER), with 1 to 64 workers.")
        try:
            by = acting_person(account_named(options["by"]), now=timezone.now())
            found = self._drill(options, by)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        words = (
            f"{found['workers']} processes, the slowest saw it after {found['seconds']} s; all held: {found['held']}"
        )
        self.stdout.write(json.dumps(found) if options["as_json"] else words)
        if not found["held"]:
            raise CommandError("Not every process saw it.")

    def _drill(self, options: dict[str, Any], by: Acting) -> dict[str, Any]:
        name = f"drill-{uuid4()}"
        command = [sys.executable, str(settings.ROOT / "manage.py"), "drill_kill_switch", "--watch", name]
        watching = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=settings.ROOT)
            for _ in range(options["workers"])
        ]
        try:
            up = [_line(one) == "free" for one in watching]
            began, job = time.time(), acting_job("drill-kill-switch", name)
            with transaction.atomic():
                row = suspend(
                    Ref(Scope.COHORT, name),
                    cause=Cause.AUTOMATIC_RULE,
                    cause_ref="drill",
                    reason="a drill",
                    by=job,
                    now=timezone.now(),
                )
            seen = [float(_line(one) or "inf") - began for one in watching]
            self.signed(lambda signer: _end(row.pk, signer), by, options)
            ended = [_line(one) == "ended" for one in watching]
        finally:
            for one in watching:
                one.kill()
                one.wait()
        held = all(up) and all(ended) and max(seen) < PATIENCE
        slowest = f"{max(seen):.3f}"
        record_drill(workers=len(watching), seconds=slowest, held=held, by=job, now=timezone.now())
        return {"workers": len(watching), "seconds": slowest, "held": held}

    def _watch(self, ref: Ref) -> None:
        """One process with its own connection: at each act it asks, as every act does."""
        self.stdout.write("free" if not stopping(frozenset({ref})) else "stopped too early")
        self.stdout.flush()
        if _until(ref, there=True, patience=PATIENCE):
            self.stdout.write(f"{time.time():.6f}")
            self.stdout.flush()
        if _until(ref, there=False, patience=SIGNS):
            self.stdout.write("ended")
            self.stdout.flush()


def _end(suspension_id: Any, by: Acting) -> object:
    return end_suspension(suspension_id, reason="the drill is over", by=by, now=timezone.now())


def _until(ref: Ref, *, there: bool, patience: float) -> bool:
    gives_up = time.monotonic() + patience
    while time.monotonic() < gives_up:
        if bool(stopping(frozenset({ref}))) is there:
            return True
        time.sleep(EVERY)
    return False


def _line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip() if process.stdout else ""
