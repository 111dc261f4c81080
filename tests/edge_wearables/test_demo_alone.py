"""The demonstration and a served house never act together, and a reading of today does not shorten the play."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from care_loops.models import BloodPressure, Loop, Patient
from care_loops.services import turn
from edge_wearables.simulators.hospital import alone
from edge_wearables.simulators.hospital.founding import is_over
from governance.models import User
from governance.services import acting_job
from tests.edge_wearables.test_demo import demo, quick_passwords, stopped_after  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])

ROOT = Path(__file__).resolve().parents[2]
HEADER = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes\n"
SMALL = ("--patients", "2", "--weeks", "2")


@pytest.fixture
def half_played(tmp_path):
    """A play of two weeks, interrupted when the first was over."""
    with pytest.raises(KeyboardInterrupt):
        stopped_after(tmp_path, "week 1 of 2")
    return tmp_path


@pytest.fixture
def house():
    """A served house, as far as the database knows it."""
    held = alone.Serving()
    yield held
    held.release()


def served(database_urls, home):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return subprocess.run(
        [sys.executable, "manage.py", "serve", "--port", port],
        cwd=ROOT,
        env=os.environ | database_urls | {"CLINAIOPS_HOME": str(home / "home"), "CELERY_BROKER_URL": "memory://"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def a_reading_of_today(folder):
    patient = Patient.objects.order_by("pk").first()
    taken = timezone.now().astimezone(ZoneInfo("Europe/Berlin")) - timedelta(minutes=10)
    row = f"{taken:%b %d %Y},{taken:%H:%M},131,79,66,,,,\n"
    (folder / "export.csv").write_text(HEADER + row, "utf-8")
    options = ("--format", "omron_csv", "--zone", "Europe/Berlin", "--method", "upper_arm_cuff")
    call_command(
        "ingest_readings", str(folder / "export.csv"), "--patient", str(patient.pk), *options, stdout=StringIO()
    )


def test_a_reading_of_today_does_not_make_the_play_shorter(half_played):
    before = BloodPressure.objects.count()
    a_reading_of_today(half_played)
    assert BloodPressure.objects.count() == before + 1
    found, progress = demo(half_played, *SMALL)
    assert "week 2 of 2" in progress
    assert sum(found["windows"].values()) == Loop.objects.filter(origin="proposal").count() == 2 * 2
    assert found["verified"] is True
    assert is_over()


def test_what_another_clock_has_moved_is_not_gone_on_with(half_played):
    now = timezone.now()
    assert turn(by=acting_job("clock", "of-the-wall"), now=now).closed
    with pytest.raises(CommandError, match=r"Something else acted .* Remove its home"):
        demo(half_played, *SMALL)
    assert not is_over()


def test_nothing_is_served_before_the_play_is_over(half_played, database_urls):
    refused = served(database_urls, half_played)
    assert (refused.returncode, refused.stderr.strip()) == (1, alone.UNFINISHED)
    assert "Serving" not in refused.stdout


def test_nothing_is_served_while_it_is_played(tmp_path, database_urls):
    with alone.played_alone():
        refused = served(database_urls, tmp_path)
    assert (refused.returncode, refused.stderr.strip()) == (1, alone.BEING_PLAYED)


def test_nothing_is_played_where_a_house_is_served(house, tmp_path):
    assert house.refusal() is None
    with pytest.raises(CommandError, match=r"being served.*End `manage.py serve` first"):
        demo(tmp_path, *SMALL)
    assert not User.objects.exists()
    house.release()
    with alone.played_alone():
        assert house.refusal() == alone.BEING_PLAYED


def test_two_plays_are_not_played_at_once(tmp_path):
    with alone.played_alone(), pytest.raises(CommandError, match="Another process plays"):
        demo(tmp_path, *SMALL)


def test_a_house_whose_database_restarted_asks_again(house):
    assert house.refusal() is None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert cursor.fetchall() == [(True,)]
    with alone.played_alone():
        assert house.refusal() == alone.BEING_PLAYED
    assert house.refusal() is None
    with pytest.raises(alone.NotAlone), alone.played_alone():
        pytest.fail("the house is served again")


def test_who_looks_at_a_play_that_is_over_may_serve_it(house, tmp_path):
    demo(tmp_path, "--patients", "1", "--weeks", "1")
    assert house.refusal() is None
    assert "have been played before" in demo(tmp_path, "--patients", "1", "--weeks", "1")[1]
