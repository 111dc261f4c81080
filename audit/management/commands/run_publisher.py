"""`manage.py run_publisher`: have the newest tree signed and witnessed each second, in a process of its own.

It also looks for changed guards (SECURITY 2.1 T25: seen within 60 s) and asks a timestamp authority where one is named.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from contextlib import ExitStack
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from audit import merkle
from audit.domain import Job
from audit.management.processes import refuse_to_run_on_a_shorter_log, until_told_to_stop
from audit.services import drift, signing
from audit.services.publishing import (
    SEQUENCER,
    Published,
    Publisher,
    RecordDiffers,
    SignerAhead,
    SignerUnknown,
)
from audit.services.timestamping import Stamper
from audit.services.witnessing import LogShorterThanWitnessed, Witnesses
from audit.witness_policy import PolicyInvalid
from audit.witnessed import policy_here

log = logging.getLogger(__name__)
ROUND_S = 1.0
RETRY_S = 2.0
STOPPED_S = 10.0
LOOK_AT_DRIFT_S = 30.0
STOPPERS = (RecordDiffers, SignerAhead, SignerUnknown, signing.SignerRefused, LogShorterThanWitnessed)
FAULTS = (DatabaseError, InterfaceError, signing.SignerUnreachable, OSError, PolicyInvalid, merkle.ProofInvalid)


class Command(BaseCommand):
    """A loop that ends with --once or a signal. While something may not be signed, it says so and signs nothing."""

    help = "Have the newest tree signed by the signer and cosigned by the witnesses; look for drift of the guards."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--once", action="store_true", help="one round, then stop")
        parser.add_argument("--json", action="store_true", help="with --once, print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Refuse a log shorter than witnessed, then publish."""
        refuse_to_run_on_a_shorter_log()
        if options["once"]:
            self._once(as_json=options["json"])
            return
        self._loop(until_told_to_stop())

    def _once(self, *, as_json: bool) -> None:
        try:
            with signing.reach() as signer:
                done = Publisher().publish(signer=signer, witnesses=Witnesses.of(policy_here()))
                stamp = Stamper().round()
        except (*STOPPERS, signing.SignerUnreachable) as reason:
            raise CommandError(f"{type(reason).__name__}: {reason}", returncode=1) from reason
        said = {"size": done.size, "new": done.new, "cosigned": list(done.cosigned), "failed": dict(done.failed)}
        said["timestamp"] = stamp
        words = f"Signed up to {done.size} entries; cosigned now by {', '.join(done.cosigned) or 'nobody'}."
        words += f" No timestamp: {stamp}." if stamp else ""
        self.stdout.write(json.dumps(said) if as_json else words)

    def _loop(self, stop: threading.Event) -> None:
        with ExitStack() as held:
            signer = held.enter_context(signing.reach(start=False))
            publisher, stamper, witnesses, looked, told = Publisher(), Stamper(), Witnesses.of(None), 0.0, ""
            while not stop.is_set():
                pause, said = ROUND_S, ""
                try:
                    if looked == 0.0 or time.monotonic() - looked > LOOK_AT_DRIFT_S:
                        drift.watch(by=Job("publisher", str(uuid.uuid4())), now=timezone.now())
                        looked = time.monotonic()
                    witnesses = witnesses.renewed(policy_here())
                    done = publisher.publish(signer=signer, witnesses=witnesses)
                    said = _failures(done, stamper.round())
                except STOPPERS as reason:
                    pause, said = STOPPED_S, f"nothing is signed: {type(reason).__name__}: {reason}"
                except FAULTS as reason:
                    pause, said = RETRY_S, f"trying again: {type(reason).__name__}: {reason}"
                    for alias in ("default", SEQUENCER):
                        connections[alias].close()
                if said != told:
                    (log.error if pause == STOPPED_S else log.warning)("%s", said or "publishing again")
                    told = said
                stop.wait(pause)


def _failures(done: Published, stamp: str) -> str:
    """Witnesses that did not answer well, and the timestamp authority; a pause between two tries is no news."""
    found = [(f"witness {name}", code) for name, code in done.failed] + [("timestamp authority", stamp)]
    return ", ".join(f"{name}: {code}" for name, code in found if code not in {"", "paused"})
