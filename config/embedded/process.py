"""Asking about processes, the same way on Linux and on macOS."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def command_of(pid: int) -> str:
    """The command line of a living process, one space after each word; empty when there is no such process."""
    if Path("/proc/self/cmdline").exists():
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace")
    asked = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return f"{told} " if told else ""


def wait_until(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Ask until it holds or the time is over; whether it held."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
