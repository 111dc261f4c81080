"""A crash at any point of ingest, of closing a window and of deciding loses nothing acknowledged (N9)."""

import pytest

from tests.campaigns.crashing import (
    decide_points,
    early_answer_is_caught,
    ingest_points,
    kill_writers,
    window_points,
)
from tests.campaigns.killed import kill

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_ingest_may_die_before_and_after_each_statement_and_its_commit():
    tried, failed = ingest_points()
    assert failed == 0
    assert tried > 20, "so many points were tried; fewer means the child did not die where it should"


def test_a_worker_may_die_before_and_after_each_statement_of_closing_a_window_and_its_commit():
    tried, failed = window_points()
    assert failed == 0
    assert tried > 60, "so many points were tried; fewer means the child did not die where it should"


def test_deciding_may_die_before_and_after_each_statement_and_its_commit():
    tried, failed = decide_points()
    assert failed == 0
    assert tried > 30


def test_what_fifty_killed_writers_had_acknowledged_is_there_once():
    figure = kill_writers(50, seed=20261122)
    assert figure.failed == 0, figure.detail


def test_a_writer_that_answers_before_it_has_stored_is_caught_by_the_same_counting():
    assert early_answer_is_caught()


def test_fifty_kills_in_every_part_of_the_house_lose_and_double_nothing():
    """Web, Celery, sequencer, publisher, signer, PostgreSQL, under load through the doors, in a home of its own."""
    figure = kill(50, seed=20261122)
    assert (figure.n, figure.failed) == (50, 0), figure.detail
    assert figure.defect_caught, "web workers that answered before they had stored were not seen to lose anything"
