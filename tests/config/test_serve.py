"""The supervisor: the whole house comes up on one command, a killed child comes back, one signal ends everything."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from config.beat import schedule
from config.embedded import Home, broker_url, stop_broker

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def within(seconds: float, holds: Callable[[], object]) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.1)
    return False


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/accounts/login/", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def broker_answers(home: Home) -> bool:
    line = redis.Redis(unix_socket_path=broker_url(home).removeprefix("redis+socket://"), retry=None)
    try:
        return bool(line.ping())
    except redis.ConnectionError:
        return False


def children(pid: int) -> dict[int, str]:
    listed = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True)
    rows = [line.strip().split(None, 1) for line in listed.stdout.splitlines()]
    return {int(row[0]): row[1] for row in rows if len(row) == 2}


def alive(processes: dict[int, str]) -> list[str]:
    """Those that still run; one that has ended and waits to be counted does not."""
    states = {pid: Path(f"/proc/{pid}/stat") for pid in processes}
    return [processes[pid] for pid, path in states.items() if path.exists() and ") Z " not in path.read_text()]


@pytest.fixture
def environment(database_urls, tmp_path) -> Iterator[dict[str, str]]:
    yield os.environ | database_urls | {"CLINAIOPS_HOME": str(tmp_path)}
    stop_broker(Home(tmp_path))


@pytest.mark.slow
def test_it_serves_brings_back_a_killed_child_and_ends_with_one_signal(environment):
    port = free_port()
    asked = [sys.executable, "manage.py", "serve", "--port", str(port)]
    house = subprocess.Popen(
        asked, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert within(60, lambda: answers(port))
        assert within(30, lambda: len(children(house.pid)) >= 4)
        web = next(pid for pid, command in children(house.pid).items() if "granian" in command)
        os.kill(web, signal.SIGKILL)
        assert within(30, lambda: any("granian" in c for p, c in children(house.pid).items() if p != web))
        assert within(60, lambda: answers(port))
        home = Home(Path(environment["CLINAIOPS_HOME"]))
        os.kill(int((home.broker / "server.pid").read_text()), signal.SIGKILL)
        assert within(10, lambda: not broker_answers(home))
        assert within(30, lambda: broker_answers(home))
        # The embedded broker is a neighbour, not a child of the house: it stays, like the database.
        ours = {pid: command for pid, command in children(house.pid).items() if "valkey-server" not in command}
        before = ours | {child: name for pid in ours for child, name in children(pid).items()}
        house.send_signal(signal.SIGINT)
        told, warned = house.communicate(timeout=30)
    finally:
        house.kill()
    assert house.returncode == 0
    assert told.rstrip().endswith("Stopped.")
    assert "could not be asked" not in warned, "our own witness was asked before it was up"
    assert within(5, lambda: not alive(before)), alive(before)


def test_a_taken_port_is_said_in_one_sentence(environment):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        asked = [sys.executable, "manage.py", "serve", "--port", str(taken.getsockname()[1])]
        told = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.startswith("Cannot serve on 127.0.0.1:")
    assert told.stderr.count("\n") == 1


def test_every_scheduled_task_exists():
    from config.celery import app

    entries = schedule()
    assert {entry["task"] for entry in entries.values()} <= set(app.tasks)
