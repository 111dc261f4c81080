"""Who is on call: at every moment the one who stands in or the one of the shift; hours that nobody covers are found."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, target
from hypothesis import strategies as st

from governance.cover import Gap, Rung, Shift, StandIn, gaps, on_call

MONDAY = datetime(2026, 3, 30, tzinfo=UTC)
ON_CALL, SUPERVISING = Rung.ON_CALL, Rung.SUPERVISING


def at(hour: float) -> datetime:
    return MONDAY + timedelta(hours=hour)


def shift(
    start: float, end: float, person: str = "ada", *covers: tuple[float, float, str], rung: Rung = ON_CALL
) -> Shift:
    return Shift(rung, person, at(start), at(end), tuple(StandIn(who, at(a), at(b)) for a, b, who in covers))


def test_a_shift_begins_at_its_first_moment_and_ends_before_its_last():
    day = [shift(8, 20)]
    assert on_call(day, ON_CALL, at(8)) == ("ada",)
    assert on_call(day, ON_CALL, at(20) - timedelta(microseconds=1)) == ("ada",)
    assert on_call(day, ON_CALL, at(20)) == ()
    assert on_call(day, ON_CALL, at(8) - timedelta(microseconds=1)) == ()


def test_whoever_stands_in_is_on_call_instead_and_for_that_time_only():
    day = [shift(8, 20, "ada", (10, 12, "bo"))]
    assert [on_call(day, ON_CALL, at(hour)) for hour in (9, 10, 11.9, 12)] == [("ada",), ("bo",), ("bo",), ("ada",)]


def test_of_two_who_stand_in_the_newest_holds():
    assert on_call([shift(8, 20, "ada", (9, 12, "bo"), (10, 11, "cy"))], ON_CALL, at(10.5)) == ("cy",)


def test_two_shifts_at_once_are_two_people_and_one_person_twice_is_one():
    assert on_call([shift(8, 20), shift(9, 21, "bo"), shift(10, 11)], ON_CALL, at(10)) == ("ada", "bo")


def test_the_steps_of_the_ladder_do_not_cover_each_other():
    assert on_call([shift(0, 24, rung=SUPERVISING)], ON_CALL, at(5)) == ()
    assert gaps([shift(0, 24, rung=SUPERVISING)], ON_CALL, starts=at(0), ends=at(24)) == (Gap(ON_CALL, at(0), at(24)),)


def test_uncovered_hours_are_named_from_first_to_last():
    week = [shift(20, 30, "bo"), shift(2, 8), shift(6, 10)]
    found = gaps(week, ON_CALL, starts=at(0), ends=at(24))
    assert [(gap.starts, gap.ends) for gap in found] == [(at(0), at(2)), (at(10), at(20))]


@pytest.mark.parametrize(("start", "end"), [(0, 24), (-5, 30)])
def test_a_whole_cover_leaves_no_gap(start: float, end: float):
    assert gaps([shift(start, 12), shift(12, end)], ON_CALL, starts=at(0), ends=at(24)) == ()


_hours = st.integers(-6, 30)
_shifts = st.lists(st.tuples(_hours, st.integers(1, 12)).map(lambda one: shift(one[0], one[0] + one[1])), max_size=8)


@given(_shifts, st.integers(0, 23))
@example([shift(0, 12), shift(13, 24)], 12)
@example([], 5)
def test_an_hour_is_in_a_gap_exactly_when_nobody_is_on_call(week: list[Shift], hour: int):
    found = gaps(week, ON_CALL, starts=at(0), ends=at(24))
    target(float(len(found)))
    moment = at(hour + 0.5)
    assert any(gap.starts <= moment < gap.ends for gap in found) == (not on_call(week, ON_CALL, moment))
    assert all(one.ends < two.starts for one, two in pairwise(found))
