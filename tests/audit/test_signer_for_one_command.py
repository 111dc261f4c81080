"""The signer that is started for the time of one command: it ends with it, and nobody waits for it for ever."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from audit.services import signing

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "hospital.example/log"
# A command that has its signer running, says so, and stays.
HOLDS_A_SIGNER = """
import os, sys, time
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django
django.setup()
from django.conf import settings
settings.AUDIT_KEYS_DIR, settings.AUDIT_SIGNER_SOCKET, settings.AUDIT_ORIGIN = sys.argv[1:]
settings.AUDIT_SIGNER_OURS = True
from audit.services import signing
with signing.reach():
    print("reached", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place(settings):
    """Keys and a socket of its own, and nobody at it."""
    made = Path(tempfile.mkdtemp(prefix="one"))  # a short path: the kernel wants sockets under 108 bytes
    settings.AUDIT_KEYS_DIR, settings.AUDIT_ORIGIN, settings.AUDIT_SIGNER = made / "keys", ORIGIN, ""
    settings.AUDIT_SIGNER_SOCKET, settings.AUDIT_SIGNER_OURS = str(made / "s"), True
    yield made
    shutil.rmtree(made)


def who_answers(place: Path) -> int:
    """The process at the socket, as the kernel names it."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(place / "s"))
        return struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def gone(pid: int, *, seconds: float) -> bool:
    """Whether the process ends within that time; one that has ended and waits to be counted is gone."""
    until = time.monotonic() + seconds
    while (stat := Path(f"/proc/{pid}/stat")).exists() and ") Z " not in stat.read_text():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_it_ends_with_the_work_it_was_started_for(place):
    with signing.reach() as signer:
        assert signer.state().size == 0
        pid = who_answers(place)
    assert gone(pid, seconds=0)
    with pytest.raises(ConnectionRefusedError):
        who_answers(place)


def test_one_that_does_not_end_when_asked_is_killed_and_its_caller_goes_on(place, monkeypatch):
    monkeypatch.setattr(signing, "END_S", 0.3)
    with signing.reach():
        pid = who_answers(place)
        os.kill(pid, signal.SIGSTOP)
    assert gone(pid, seconds=0)


def masks(pid: int) -> dict[str, int]:
    """The signals that this process catches, ignores and blocks now, as bits."""
    lines = (line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(value, 16) for name, value in lines if name in ("SigCgt", "SigIgn", "SigBlk")}


def test_an_order_to_end_cannot_be_lost_on_the_way(place):
    """SIGTERM ends it in the kernel: a handler of its own would wait for the interpreter, which waits for a caller."""
    order, until = 1 << signal.SIGTERM - 1, time.monotonic() + 10
    with signing.reach():
        pid = who_answers(place)
        while masks(pid)["SigBlk"] & order:  # for the instant in which a thread begins, the system holds all back
            assert time.monotonic() < until
            time.sleep(0.01)
        found = masks(pid)
    assert not (found["SigCgt"] | found["SigIgn"]) & order
    assert found["SigIgn"] & 1 << signal.SIGPIPE - 1, "the mask is read as meant: every Python ignores this one"


def test_it_ends_when_its_command_is_killed_and_holds_nothing_that_others_wait_for(place):
    program = [sys.executable, "-c", HOLDS_A_SIGNER, str(place / "keys"), str(place / "s"), ORIGIN]
    command = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    assert command.stdout.readline() == "reached\n"
    pid = who_answers(place)
    os.kill(pid, signal.SIGSTOP)  # it can do nothing now, and still nobody waits
    command.kill()
    try:
        assert command.communicate(timeout=20) == ("", None)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert gone(pid, seconds=20)


def test_a_command_asks_the_signer_that_runs_already(place):
    with signing.reach() as first:
        pid = who_answers(place)
        with signing.reach() as second:
            assert second.state() == first.state()
            assert who_answers(place) == pid
        assert second.state() == first.state(), "it ends with whoever started it, not with who asked last"
    assert gone(pid, seconds=0)
