"""Readings, activity and intake on one clock (HTN-02): skew, gaps, and a peak during exercise."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.alignment import ActivitySample, IntakeAt, align
from care_loops.averaging import average
from care_loops.domain.readings import Flag, NotUsed
from care_loops.pathways.hypertension.tables_readings import alignment_rule, averaging_rule
from tests.care_loops.clinic import NOW, reading

RULE = alignment_rule()


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def walking(steps: object, *, at: datetime = NOW) -> ActivitySample:
    return ActivitySample(at, None if steps is None else Decimal(str(steps)))


def test_activity_and_intake_stand_beside_the_reading():
    dose = IntakeAt("29046", NOW - timedelta(hours=2))
    (row,) = align([reading()], [walking(12, at=NOW - minutes(1))], [dose], rule=RULE)
    assert (row.steps_per_minute, row.exertion) == (12, False)
    assert (row.last_intake, row.since_intake) == (dose, timedelta(hours=2))


@pytest.mark.parametrize(("apart", "found"), [(4, 7), (5, 7), (5.1, None), (-5, 7), (-5.1, None)])
def test_activity_further_away_than_the_tolerance_is_a_gap(apart, found):
    (row,) = align([reading()], [walking(7, at=NOW + minutes(apart))], [], rule=RULE)
    assert row.steps_per_minute == found


def test_a_gap_stays_absent_and_is_not_zero():
    (row,) = align([reading()], [walking(None)], [], rule=RULE)
    assert row.steps_per_minute is None
    (row,) = align([reading()], [], [], rule=RULE)
    assert (row.steps_per_minute, row.last_intake, row.since_intake, row.exertion) == (None, None, None, False)


def test_a_later_dose_is_not_the_last_one():
    (row,) = align([reading()], [], [IntakeAt("29046", NOW + minutes(1))], rule=RULE)
    assert row.last_intake is None


@pytest.mark.parametrize(
    ("steps", "before", "exertion"),
    [(99, 0, False), (100, 0, True), (140, 29, True), (140, 30, True), (140, 31, False), (140, -1, False)],
)
def test_effort_disturbs_for_half_an_hour(steps, before, exertion):
    (row,) = align([reading(170, 90)], [walking(steps, at=NOW - minutes(before))], [], rule=RULE)
    assert row.exertion is exertion
    assert (Flag.POST_EXERCISE in row.reading.flags) is exertion


def test_a_clock_that_runs_ahead_is_set_right():
    sample = walking(140, at=NOW + minutes(45))
    assert not align([reading()], [sample], [], rule=RULE)[0].exertion
    assert align([reading()], [sample], [], rule=RULE, activity_skew=minutes(46))[0].exertion


def test_a_peak_during_exercise_enters_no_average():
    rule = averaging_rule("home_7_day")
    times = [NOW.replace(hour=h, minute=m) - timedelta(days=d) for d in range(1, 8) for h in (7, 19) for m in (0, 2)]
    calm = [reading(130, 80, at=t) for t in times]
    peak = reading(178, 95, at=NOW.replace(hour=12) - timedelta(days=2))
    rows = align([*calm, peak], [walking(150, at=peak.taken_at - minutes(3))], [], rule=RULE)
    result = average([row.reading for row in rows], rule, as_of=NOW, zone=ZoneInfo("UTC"))
    assert {left.reading_id: left.why for left in result.not_used}[peak.reading_id] is NotUsed.POST_EXERCISE
    assert result.average is not None
    assert result.average.systolic.value == 130


@given(
    st.lists(st.integers(-600, 600), max_size=15),
    st.lists(st.tuples(st.integers(-600, 600), st.one_of(st.none(), st.integers(0, 200))), max_size=15),
    st.integers(-30, 30),
)
def test_every_reading_stands_once_and_what_is_joined_is_within_tolerance(taken, moved, skew):
    readings = [reading(at=NOW + minutes(m)) for m in taken]
    samples = [walking(s, at=NOW + minutes(m)) for m, s in moved]
    rows = align(readings, samples, [], rule=RULE, activity_skew=minutes(skew))
    assert sorted(row.reading.reading_id for row in rows) == sorted(r.reading_id for r in readings)
    for row in rows:
        near = {
            s.steps_per_minute for s in samples if abs(s.at - minutes(skew) - row.reading.taken_at) <= RULE.tolerance
        }
        assert row.steps_per_minute is None or row.steps_per_minute in near
