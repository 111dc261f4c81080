"""A server killed without warning while devices send: what it acknowledged is there, and the rest arrives later."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from care_loops.models import BloodPressure
from edge_wearables.models import Received
from edge_wearables.runtime import DeviceRuntime, Ended, HttpLine, Identity, Offline, seqs_of
from tests.edge_wearables.entrance import ZONE, a_sender, pressure

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
READINGS, KILLS = 240, 4


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(port, environment):
    """A server of its own process on this test's database, once it answers."""
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **quiet)
    for _ in range(240):
        try:
            HttpLine(f"http://127.0.0.1:{port}", timeout=5).post("/api/v1/devices/batches", headers={}, body=b"")
        except Offline:
            assert server.poll() is None, "the server did not start"
            time.sleep(0.25)
        else:
            return server
    pytest.fail("the server does not answer")


def kill(server):
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def test_a_server_killed_while_devices_send_loses_nothing_it_acknowledged(database_urls, tmp_path):
    sender, chance = a_sender(), random.Random(5)
    environment = os.environ | database_urls | {"CELERY_BROKER_URL": "redis://127.0.0.1:9/0", "DEBUG": "0"}
    port, acknowledged = free_port(), set()
    device = DeviceRuntime(
        tmp_path / "d",
        Identity(str(sender.device_id), sender.private, ZONE),
        HttpLine(f"http://127.0.0.1:{port}", timeout=10),
        batch_size=3,
    )
    for n in range(READINGS):
        content = pressure(1, systolic=90 + n % 80, diastolic=60)
        content["taken_at"] = (timezone.now() - timedelta(minutes=2 * READINGS - n)).isoformat()
        device.record({name: value for name, value in content.items() if name != "seq"})
    interrupted = 0
    for nth in range(KILLS + 1):
        server = start(port, environment)
        if nth < KILLS:
            threading.Timer(chance.uniform(0.05, 0.8), kill, [server]).start()
        ended = device.sync(now=timezone.now())
        for outcome in ("accepted", "duplicate", "rejected", "quarantined"):
            acknowledged |= set(seqs_of(ended.answers, outcome))
        interrupted += ended.ended is Ended.OFFLINE
        held = set(Received.objects.values_list("seq", flat=True))
        assert acknowledged <= held
        if nth == KILLS or ended.ended is Ended.ALL_SENT:
            kill(server) if server.poll() is None else None
            break
        server.wait()
    assert ended.ended is Ended.ALL_SENT
    assert interrupted > 0
    assert acknowledged == set(range(1, READINGS + 1))
    assert BloodPressure.objects.count() == READINGS
