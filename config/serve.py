"""One supervisor, the whole house: web server, workers, clock, sequencer, publisher, signer, relay as child processes.

The rules
 * A child that ends is started again, later each time, up to half a minute; one that keeps well is forgiven.
 * Ctrl-C and SIGTERM stop all of them: asked first, and killed after ten seconds. If the supervisor itself is killed,
   the kernel stops its children (Linux).
 * The embedded database and broker are looked after too, and stay when the house ends: they are everybody's.
 * Nothing is served where a demonstration is being played, or was begun and not ended: its weeks are simulated, and
   the clock here would act on them.
 * The web server's threads are bounded, so that connections to the database are: one per thread.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from config import evidence
from config.embedded import ensure_broker, ensure_database, home
from config.embedded.home import ROOT, CannotStart

if TYPE_CHECKING:
    from edge_wearables.simulators.hospital.alone import Serving

THREADS = 8
STOP_SECONDS = 10.0
LOOK_SECONDS = 3.0
WELL_AFTER = 60.0
LONGEST_PAUSE = 30.0
PR_SET_PDEATHSIG = 1
COMMANDS = ("run_sequencer", "run_publisher", "run_relay")
LOG_SHORTER = 3
PLAY_UNFINISHED = 1


@dataclass
class Child:
    """One program we keep running."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    due: float = field(default=0.0)

    def tend(self, now: float) -> None:
        """Start it if it should run and does not; `now` is monotonic seconds."""
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            well = now - self.started > WELL_AFTER
            self.pause = 1.0 if well or not self.pause else min(self.pause * 2, LONGEST_PAUSE)
            self.due = now + self.pause
            print(
                f"{self.name} ended ({self.process.returncode}); again in {self.pause:.0f} s; see {self.log}",
                flush=True,
            )
            self._end_group(self.process.pid)
            self.process = None
        if now >= self.due:
            self.started = now
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, start_new_session=True,
                    preexec_fn=_die_with_parent(),  # noqa: PLW1509  (one thread here, and one system call)
                )  # fmt: skip

    def ask_to_stop(self) -> None:
        """Say it once."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self, *, by: float) -> None:
        """Wait for its end until `by` (monotonic seconds), then end it and what it started."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, by - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._end_group(self.process.pid)

    @staticmethod
    def _end_group(leader: int) -> None:
        """End what a child has started itself: a web worker without its master would go on serving."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Serve until told to stop; 0 after an orderly end."""
    parser = argparse.ArgumentParser(prog="manage.py serve", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
    asked = parser.parse_args(arguments)
    if reason := _port_taken(asked.host, asked.port):
        print(reason, file=sys.stderr)
        return 1
    logs = home().logs
    logs.mkdir(parents=True, exist_ok=True)
    programs = _programs(asked.host, asked.port)
    held = _serving()
    if unfinished := held.refusal():
        print(unfinished, file=sys.stderr)
        return PLAY_UNFINISHED
    try:
        beside = evidence.programs()
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return 1
    children = [Child(name, command, logs / f"{name}.log") for name, command in beside.items()]
    for child in children:
        child.tend(time.monotonic())
    if refused := evidence.refusal():
        print(refused, file=sys.stderr)
        _stop(children)
        return LOG_SHORTER
    children += [Child(name, command, logs / f"{name}.log") for name, command in programs.items()]
    greeting = f"Serving on http://{asked.host}:{asked.port}/ (logs in {logs}); Ctrl-C stops."
    return _supervise(children, held, greeting=greeting)


def _serving() -> "Serving":
    """What a served house holds of its database; Django is set up."""
    from edge_wearables.simulators.hospital.alone import Serving

    return Serving()


def _programs(host: str, port: int) -> dict[str, list[str]]:
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "config.celery", "worker", "--loglevel=WARNING", "--without-mingle"]
    web = [python, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--workers", "1"]
    web += ["--blocking-threads", str(THREADS), "--respawn-failed-workers", "--no-ws", "--log-level", "warning"]
    programs = {
        "web": [*web, "config.wsgi:application"],
        "worker": [*celery, "-n", "worker@%h", "-Q", "critical,ingest,report", "--concurrency=2"],
        "ml": ["nice", "-n", "19", *celery, "-n", "ml@%h", "-Q", "ml", "--concurrency=1"],
        "clock": [python, "-m", "config.beat"],
    }
    return programs | {name: [python, "manage.py", name] for name in _commands()}


def _commands() -> list[str]:
    """Those of our long-running commands that are installed."""
    import django

    django.setup()
    from django.core.management import get_commands

    return [name for name in COMMANDS if name in get_commands()]


def _supervise(children: list[Child], held: "Serving", *, greeting: str) -> int:
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: told.append(received))
    print(greeting, flush=True)
    looked, refused = time.monotonic(), None
    while not told and refused is None:
        for child in children:
            child.tend(time.monotonic())
        if time.monotonic() - looked > LOOK_SECONDS:
            _tend_services()
            refused = held.refusal()
            looked = time.monotonic()
        time.sleep(0.2)
    _stop(children)
    held.release()
    if refused is not None:
        print(refused, file=sys.stderr)
    print("Stopped.", flush=True)
    return 0 if refused is None else PLAY_UNFINISHED


def _stop(children: list[Child]) -> None:
    """Ask all, then wait for all."""
    for child in children:
        child.ask_to_stop()
    by = time.monotonic() + STOP_SECONDS
    for child in children:
        child.stop(by=by)


def _tend_services() -> None:
    """Start the embedded database or broker again if it died; a site's own are the site's."""
    try:
        if not os.environ.get("DATABASE_URL") and ensure_database(home()):
            print("The embedded database had ended and was started again.", flush=True)
        if not os.environ.get("CELERY_BROKER_URL") and ensure_broker(home()):
            print("The embedded broker had ended and was started again.", flush=True)
    except CannotStart as reason:
        print(reason, file=sys.stderr, flush=True)


def _port_taken(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as reason:
            return f"Cannot serve on {host}:{port} ({reason.strerror}). Choose another port: PORT=8001 make demo"
    return None


def _die_with_parent() -> Callable[[], None] | None:
    """What a child does first, on Linux: ask the kernel to end it when its parent ends. Prepared before the fork."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
