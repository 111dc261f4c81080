"""The house as processes that may be killed: web workers, Celery's, sequencer, publisher, signer, PostgreSQL; and load.

The supervisor has one thread and no open connection when it forks. Web workers serve the real application on one
listening socket; sequencer, publisher and relay are the real commands in forks, so that they are back at once; Celery,
signer and witness are the real programs. Who sends writes down what was acknowledged in a file of its own, as it comes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import Error, connections
from django.test import Client
from django.utils import timezone

from care_loops.domain.loops import DecisionKind
from care_loops.policies import AlreadyDecided
from care_loops.services import DecisionInput, decide
from config import evidence
from config.celery import app
from edge_wearables.runtime import seqs_of
from tests.campaigns.house_tasks import take_one
from tests.edge_wearables.entrance import BATCHES, Sender, pressure

WEB, DEVICES, DECIDERS = 3, 3, 2
BATCH = 4
PAUSE, AGAIN_S = 0.03, 0.2
BETWEEN_DECISIONS_S = 1.0
EARLY = b"{}"


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Late:
    """The seeded defect: the answer is sent first, the work done afterwards."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def __iter__(self) -> Iterable[bytes]:
        yield EARLY

    def close(self) -> None:
        time.sleep(PAUSE)
        self._work()


@dataclass
class House:
    """The processes by kind, and where the senders write down what was acknowledged."""

    folder: Path
    senders: list[Sender]
    loops: list[tuple[Any, Any]]  # a recommendation that waits, and who decides it
    patient: Any
    early: bool = False
    pids: dict[str, list[int]] = field(default_factory=dict)
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _forked: dict[tuple[str, int], float] = field(default_factory=dict)

    def start(self) -> None:
        """Everything, the evidence's programs first."""
        self._listen = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listen.getsockname()[1]
        first = self.senders[0]  # what a worker loads at its first request is loaded before it is forked
        first.client = Client(SERVER_NAME="localhost")
        first.taken(pressure(100_000, ago=1))
        for name, command in evidence.programs().items():
            self._run(name, command)
        worker = [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "-I", "tests.campaigns.house_tasks"]
        worker += ["-Q", "ingest", "--concurrency=2", "--without-mingle", "--without-gossip", "--loglevel=INFO"]
        self._run("celery", worker)
        for kind, many in (("web", WEB), ("decider", DECIDERS), ("device", DEVICES), ("tasks", 1)):
            for number in range(many):
                self._fork(kind, number)
        for kind in ("sequencer", "publisher", "relay"):
            self._fork(kind, 0)

    def _run(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _fork(self, kind: str, number: int) -> None:
        connections.close_all()
        act: Callable[[], object] = {
            "web": self._serve,
            "decider": lambda: self._decide(number),
            "device": lambda: self._send(number),
            "tasks": self._ask_tasks,
        }.get(kind, lambda: call_command(f"run_{kind}"))
        self._forked[kind, number] = time.monotonic()
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            try:
                act()
            except BaseException:  # noqa: BLE001  the end of this process, said in its log
                with (self.folder / f"{kind}.log").open("a") as log:
                    log.write(traceback.format_exc())
            finally:
                os._exit(1)
        running = self.pids.setdefault(kind, [0] * (number + 1))
        running += [0] * (number + 1 - len(running))
        running[number] = child

    def tend(self) -> None:
        """Start again what has died, no slot more often than every fifth of a second."""
        for kind, running in self.pids.items():
            for number, pid in enumerate(running):
                if pid and os.waitpid(pid, os.WNOHANG)[0]:
                    running[number] = 0
                if not running[number] and time.monotonic() > self._forked.get((kind, number), 0.0) + AGAIN_S:
                    self._fork(kind, number)
        for name, program in self.programs.items():
            if program.poll() is not None:
                self._run(name, list(map(str, program.args)))

    def victims(self, kind: str) -> list[int]:
        """The processes of a kind that may be killed now."""
        if kind == "celery":
            found = subprocess.run(
                ["pgrep", "-P", str(self.programs["celery"].pid)], capture_output=True, text=True, check=False
            )
            return [int(pid) for pid in found.stdout.split()]
        if kind == "signer":
            return [self.programs["signer"].pid] if self.programs["signer"].poll() is None else []
        return [pid for pid in self.pids[kind] if pid]

    def halt(self, kinds: Iterable[str]) -> None:
        """End these kinds of forks for good."""
        for kind in kinds:
            for pid in filter(None, self.pids.pop(kind, [])):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def stop(self) -> None:
        """End everything."""
        self.halt(list(self.pids))
        for program in self.programs.values():
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        self._listen.close()

    def acknowledged(self, what: str) -> list[list[str]]:
        """Everything that senders of this kind have been acknowledged."""
        files = self.folder.glob(f"{what}-*.ack")
        return [line.split() for path in files for line in path.read_text().splitlines()]

    def _ack(self, what: str, number: int) -> Callable[..., None]:
        file = os.open(self.folder / f"{what}-{number}.ack", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        return lambda *said: void(os.write(file, (" ".join(map(str, said)) + "\n").encode()))

    # -- what the processes do ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        server = WSGIServer(self._listen.getsockname(), _Quiet, bind_and_activate=False)
        server.socket.close()
        server.socket, server.server_name, server.server_port = self._listen, "localhost", self.port
        server.setup_environ()
        real = get_wsgi_application()
        server.set_app(self._early(real) if self.early else real)
        server.serve_forever()

    @staticmethod
    def _early(real: Any) -> Any:
        def application(environ: dict[str, Any], start: Any) -> Any:
            start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(EARLY)))])
            return _Late(lambda: list(real(environ, lambda *_: None)))

        return application

    def _send(self, number: int) -> None:
        """A device: batches through the door, each sent again until it is acknowledged."""
        import http.client

        sender, ack = self.senders[number], self._ack("early" if self.early else "device", number)
        for first in count(100_001 if self.early else 1, BATCH):
            readings = [pressure(seq, ago=5 + 0.5 * (seq % 50_000)) for seq in range(first, first + BATCH)]
            while True:
                body, headers = sender.message(readings)
                try:
                    line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                    line.request("POST", BATCHES, body, headers | {"Content-Type": "application/json"})
                    answer = line.getresponse()
                    status, said = answer.status, answer.read()
                except (OSError, http.client.HTTPException):
                    status, said = 0, b""
                finally:
                    line.close()
                if status == 200:
                    ack(sender.device_id, sender.boot_id, *_taken(said, first))
                    break
                if status in {400, 401, 403}:
                    raise RuntimeError(said.decode()[:500])
                time.sleep(PAUSE)
            time.sleep(PAUSE)

    def _decide(self, number: int) -> None:
        """A clinician: decides what waits, one after the other, beside a colleague who does the same."""
        ack = self._ack("decision", number)
        for loop, by in self.loops:
            decided = False
            while not decided:
                try:
                    chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", 2)
                    ack(decide(loop, chosen, by=by, now=timezone.now()).loop_id)
                    decided = True
                except AlreadyDecided:
                    decided = True
                except Error:
                    connections.close_all()
                    time.sleep(PAUSE)
            time.sleep(BETWEEN_DECISIONS_S)
        time.sleep(100_000)

    def _ask_tasks(self) -> None:
        """Tasks handed to the broker; what it took is to be done."""
        app.set_current()
        ack, now = self._ack("task", 0), timezone.now().isoformat()
        for number in count():
            name = f"task-{number}"
            take_one.delay(str(self.patient), name, number, now)
            ack(name)
            time.sleep(0.5)


def void(_: object) -> None:
    """Nothing."""


def _taken(said: bytes, first: int) -> list[int]:
    """The numbers that the answer says are in the record."""
    answer = json.loads(said)
    if "accepted" not in answer:  # the seeded defect says nothing of it
        return list(range(first, first + BATCH))
    return [seq for outcome in ("accepted", "duplicate") for seq in seqs_of((answer,), outcome)]
