"""`manage.py run_sequencer`: number the record's entries as they come, in a process of its own."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from audit.domain import Job
from audit.management.processes import refuse_to_run_on_a_shorter_log, until_told_to_stop
from audit.services.genesis import found_log
from audit.services.sequencing import SEQUENCER, sequence_batch
from audit.services.signing import SignerUnreachable

log = logging.getLogger(__name__)
IDLE_S = 0.2
RETRY_S = 2.0


class Command(BaseCommand):
    """A loop with three ends: --once, a signal, or an entry that does not fit its hash."""

    help = "Give pending entries their positions and grow the tree. `run_publisher` has its head signed."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--once", action="store_true", help="number what can be numbered now, then stop")
        parser.add_argument("--json", action="store_true", help="with --once, print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run until told to stop. A lost database is waited for; a corrupt pending row ends the process."""
        refuse_to_run_on_a_shorter_log()
        job = Job("sequencer", str(uuid.uuid4()))
        if options["once"]:
            found_log(by=job, now=timezone.now())
            numbered = 0
            while done := sequence_batch():
                numbered += done
            self.stdout.write(
                json.dumps({"numbered": numbered})
                if options["json"]
                else f"{numbered} entries numbered. `run_publisher --once` has them signed."
            )
            return
        self._loop(job, until_told_to_stop())

    def _loop(self, job: Job, stop: threading.Event) -> None:
        founded = False
        while not stop.is_set():
            try:
                if not founded:
                    found_log(by=job, now=timezone.now())
                    founded = True
                if not sequence_batch():
                    stop.wait(IDLE_S)
            except SignerUnreachable as err:
                log.warning("the log cannot begin: %s", err)
                stop.wait(RETRY_S)
            except (DatabaseError, InterfaceError) as err:
                log.warning("the database is not there (%s); trying again", type(err).__name__)
                for alias in ("default", SEQUENCER):
                    connections[alias].close()
                stop.wait(RETRY_S)
