"""Work behind the request: a task whose process is killed is done by another, and rules of the queue hold."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from config.celery import app
from config.embedded import Home, broker_url, ensure_broker, stop_broker

ROOT = Path(__file__).resolve().parents[2]
WORKER = ["-m", "celery", "-A", "config.celery", "worker", "-I", "tests.config.crash_task", "-c", "1", "-Q", "critical"]


def pids(path: Path, worker: subprocess.Popen[bytes], *, expected: int, seconds: float = 60) -> list[int]:
    """Who has run the task, once there are so many; fewer if the time is over or the worker ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and worker.poll() is None:
        if path.exists() and len(path.read_text().split()) >= expected:
            break
        time.sleep(0.1)
    return [int(word) for word in path.read_text().split()] if path.exists() else []


@pytest.fixture
def broker(tmp_path):
    home = Home(tmp_path)
    ensure_broker(home)
    yield broker_url(home)
    stop_broker(home)


@pytest.mark.slow
def test_a_task_whose_process_is_killed_in_the_middle_is_done_by_another(broker, tmp_path):
    ran = tmp_path / "ran"
    environment = os.environ | {"CELERY_BROKER_URL": broker, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, *WORKER], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        with app.connection_for_write(broker) as connection:
            app.send_task("tests.write_pid", [str(ran)], queue="critical", connection=connection)
        first = pids(ran, worker, expected=1)
        assert len(first) == 1, (tmp_path / "worker.log").read_text()
        os.kill(first[0], signal.SIGKILL)
        both = pids(ran, worker, expected=2)
        assert len(both) == 2, (tmp_path / "worker.log").read_text()
        assert both[0] != both[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def test_the_queue_forgets_nothing_early_and_reads_nothing_but_json():
    assert settings.CELERY_TASK_ACKS_LATE
    assert settings.CELERY_TASK_REJECT_ON_WORKER_LOST
    assert settings.CELERY_WORKER_PREFETCH_MULTIPLIER == 1
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.VISIBILITY_TIMEOUT >= 10 * settings.CELERY_TASK_TIME_LIMIT
    assert app.conf.broker_transport_options["visibility_timeout"] == settings.VISIBILITY_TIMEOUT
    assert app.conf.visibility_timeout == settings.VISIBILITY_TIMEOUT
