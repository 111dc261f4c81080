"""Instants are told in the patient's zone, with how long ago."""

from datetime import UTC, datetime, timedelta

import pytest

from care_loops.presenters import times

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=119), "119 minutes ago"),
        (timedelta(hours=2), "2 hours ago"),
        (timedelta(hours=47), "47 hours ago"),
        (timedelta(days=12, hours=5), "12 days ago"),
        (-timedelta(days=3), "in 3 days"),
    ],
)
def test_how_long_ago(gap, said):
    assert times.ago(NOW - gap, now=NOW) == said


def test_what_is_past_its_time_is_overdue():
    assert times.due(NOW + timedelta(hours=5), now=NOW) == "due in 5 hours"
    assert times.due(NOW - timedelta(hours=5), now=NOW) == "overdue by 5 hours"


def test_the_wall_clock_is_the_patients():
    assert times.clock(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Europe/Berlin") == "25 Oct 2026, 02:30 CEST"
    assert times.clock(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Europe/Berlin") == "25 Oct 2026, 02:30 CET"
    assert times.clock(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Asia/Dubai") == "25 Oct 2026, 05:30 UTC+04"
    assert times.clock(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "UTC") == "25 Oct 2026, 01:30 UTC"
    assert times.place("America/New_York") == "New York time"


def test_an_instant_without_offset_is_a_bug():
    with pytest.raises(ValueError, match="offset"):
        times.clock(datetime(2026, 1, 1), "Europe/Berlin")
