"""`manage.py run_relay`: deliver what the outbox holds, in a process of its own.

Rules
 * The outbox in the database is the truth: a message whose handler failed or whose relay died comes due again by
   itself, so the relay is its own sweeper. Any number of relays may run at once.
 * A lost database is waited for. A signal ends the loop after the message in hand.
"""

from __future__ import annotations

import json
import logging
import threading
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from audit.management.processes import until_told_to_stop
from audit.services import RelayReport, relay
from care_loops.services import handlers
from governance.services import acting_job

log = logging.getLogger(__name__)
IDLE_S = 0.25
RETRY_S = 2.0
PASS = 50  # messages between two looks at the signal


class Command(BaseCommand):
    """A loop with two ends: --once or a signal."""

    help = "Deliver what waits in the outbox: changes to patients, second looks, pages."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--once", action="store_true", help="deliver what is due now, then stop")
        parser.add_argument("--json", action="store_true", help="with --once, print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run until told to stop."""
        topics = handlers(by=acting_job("relay", str(uuid4())), clock=timezone.now)
        if options["once"]:
            done = _until_empty(topics)
            said = ", ".join(f"{count} {name}" for name, count in done.items())
            self.stdout.write(json.dumps(done) if options["json"] else f"{said}.")
            return
        _loop(topics, until_told_to_stop())


def _until_empty(topics: Mapping[str, Any]) -> dict[str, int]:
    total = asdict(RelayReport())
    while any((done := asdict(relay(topics, limit=PASS))).values()):
        total = {name: count + done[name] for name, count in total.items()}
    return total


def _loop(topics: Mapping[str, Any], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            done = relay(topics, limit=PASS)
            if done.failed or done.parked:
                log.warning("of the outbox, %s failed and %s were parked", done.failed, done.parked)
            if done == RelayReport():
                stop.wait(IDLE_S)
        except (DatabaseError, InterfaceError) as err:
            log.warning("the database is not there (%s); trying again", type(err).__name__)
            connections["default"].close()
            stop.wait(RETRY_S)
