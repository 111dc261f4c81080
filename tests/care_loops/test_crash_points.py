"""A crash at any point of ingest and of deciding: nothing acknowledged is lost, nothing is half there (N9)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns.crashing import decide_points, early_answer_is_caught, ingest_points, kill

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_ingest_may_die_before_and_after_each_statement_and_its_commit():
    tried, failed = ingest_points()
    assert failed == 0
    assert tried > 20, "so many points were tried; fewer means the child did not die where it should"


def test_deciding_may_die_before_and_after_each_statement_and_its_commit():
    tried, failed = decide_points()
    assert failed == 0
    assert tried > 30


def test_what_fifty_killed_writers_had_acknowledged_is_there_once():
    figure = kill(50, seed=20261122)
    assert figure.failed == 0, figure.detail


def test_a_writer_that_answers_before_it_has_stored_is_caught_by_the_same_counting():
    assert early_answer_is_caught()


def test_the_database_may_be_stopped_at_once_under_load(tmp_path_factory):
    """In a home of its own, by SIGKILL and by immediate stop: what was acknowledged is there, once, with its entry."""
    own = {"CLINAIOPS_HOME": str(tmp_path_factory.mktemp("h"))}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_URL")} | own
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.restarted", "3"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["acknowledged"] > 10, said
    assert (said["lost"], said["doubled"], said["half"]) == (0, 0, 0), said
