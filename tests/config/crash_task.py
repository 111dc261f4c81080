"""A task that is killed in the middle the first time: loaded by a real worker in `test_celery.py` only."""

import os
import time
from pathlib import Path

from celery import shared_task

LONG = 60


@shared_task(name="tests.write_pid")
def write_pid(path: str) -> None:
    """Say who runs it; the first to do so then works for longer than it will live."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
        file.flush()
    if len(Path(path).read_text(encoding="utf-8").split()) == 1:
        time.sleep(LONG)
