"""Which days a home average looks at, clocks that change, and windows that follow each other (CLINICAL 1.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from care_loops.averaging import average, previous_window
from care_loops.domain.readings import Method, NotUsed, Reading, Setting
from care_loops.pathways.hypertension.tables_readings import averaging_rule
from tests.care_loops.clinic import BERLIN, reading
from tests.care_loops.weeks import AS_OF, FIRST_DAY, HOME, at, day_of, home, week, why

# ---- which days


@pytest.mark.parametrize(
    "as_of",
    [
        at(7, 20, 2),  # just after the last reading of the seventh day
        at(8, 0, 0),
        at(8, 9, 0),
        at(8, 23, 59),
    ],
)
def test_asked_at_the_end_of_the_week_or_the_day_after_the_week_is_the_same(as_of):
    assert len(home(week(), as_of=as_of).used) == 24


def test_a_day_that_is_not_over_waits_for_its_evening():
    result = home([*week(), *day_of(8)[:2]], as_of=at(8, 12, 0))
    assert len(result.used) == 24
    assert result.ends_at == at(8, 0)
    evening = home([*week(), *day_of(8)], as_of=at(8, 20, 30))
    assert (evening.starts_at, evening.ends_at) == (at(2, 0), at(9, 0))


def test_the_window_is_half_open():
    inside = reading(at=at(1, 0, 0))
    before = reading(at=at(1, 0, 0) - timedelta(seconds=1))
    after = reading(at=at(8, 0, 0))
    result = home([*week(), inside, before, after], as_of=at(8, 12, 0))
    assert why(result, inside) is NotUsed.FIRST_DAY
    assert why(result, before) is NotUsed.OUTSIDE_WINDOW
    assert why(result, after) is NotUsed.OUTSIDE_WINDOW


def test_the_first_day_is_the_first_day_on_which_somebody_measured():
    result = home([r for day in (3, 4, 5, 6) for r in day_of(day)])
    assert len(result.used) == 12
    assert {left.why for left in result.not_used} == {NotUsed.FIRST_DAY}


def test_a_day_with_nothing_fit_is_not_the_first_day():
    cuffless = [replace(r, method=Method.CUFFLESS) for r in day_of(1)]
    result = home([*cuffless, *[r for day in (2, 3, 4, 5) for r in day_of(day)]])
    assert len(result.used) == 12
    assert result.average is not None


def test_days_count_only_when_all_of_them_lies_14_days_after_the_change():
    change = at(3, 15, 0) - timedelta(days=14)
    result = home(week(), last_change_at=change)
    assert result.average is not None
    soon = [left for left in result.not_used if left.why is NotUsed.TOO_SOON_AFTER_CHANGE]
    assert len(soon) == 12  # days 1 to 3; day 4 is the first that counts, and it is discarded
    assert len(result.used) == 12


def test_a_change_at_midnight_settles_14_days_later_to_the_day():
    result = home(week(), last_change_at=at(3, 0, 0) - timedelta(days=14))
    assert len([left for left in result.not_used if left.why is NotUsed.TOO_SOON_AFTER_CHANGE]) == 8


# ---- clocks that change


@pytest.mark.parametrize(
    ("clocks_change_on", "length"),
    [(date(2026, 3, 29), timedelta(days=7, hours=-1)), (date(2026, 10, 25), timedelta(days=7, hours=1))],
)
@pytest.mark.parametrize("position", range(1, 8))
def test_a_week_with_a_day_of_23_or_25_hours(clocks_change_on, length, position):
    begin = clocks_change_on - timedelta(days=position - 1)
    shift = begin - FIRST_DAY

    def moved(r: Reading) -> Reading:
        return replace(r, taken_at=(r.taken_at.replace(tzinfo=None) + shift).replace(tzinfo=BERLIN))

    result = home([moved(r) for r in week()], as_of=datetime.combine(begin + timedelta(days=7), time(0), tzinfo=BERLIN))
    assert len(result.used) == 24
    assert result.starts_at is not None
    assert result.ends_at is not None
    assert result.ends_at.astimezone(UTC) - result.starts_at.astimezone(UTC) == length


def test_the_hour_that_comes_twice_is_an_hour_long():
    """02:30 before and 02:30 after the clocks go back: the wall says 0 s apart, the body says an hour."""
    autumn = date(2026, 10, 25)
    first, second = (datetime.combine(autumn, time(2, 30), tzinfo=BERLIN).replace(fold=f) for f in (0, 1))
    shift = autumn - timedelta(days=2) - FIRST_DAY
    days_around = [
        replace(r, taken_at=(r.taken_at.replace(tzinfo=None) + shift).replace(tzinfo=BERLIN))
        for r in week()
        if r.taken_at not in {at(3, 7, 0), at(3, 7, 1)}
    ]
    pair = [reading(at=first), reading(at=second)]
    as_of = datetime(2026, 10, 30, tzinfo=BERLIN)
    result = average([*days_around, *pair], HOME, as_of=as_of, zone=BERLIN)
    assert {r.reading_id for r in pair} <= set(result.used)


def test_morning_is_morning_where_the_person_lives():
    """A week in Tokyo: 07:00 there is 23:00 in Berlin the day before, and still a morning."""
    tokyo = ZoneInfo("Asia/Tokyo")
    readings = [
        reading(at=at(d, h, m, zone=tokyo), zone="Asia/Tokyo") for d in range(1, 8) for h in (7, 20) for m in (0, 1)
    ]
    assert len(average(readings, HOME, as_of=at(8, 0, zone=tokyo), zone=tokyo).used) == 24


# ---- windows that follow each other


def test_the_month_before_is_found_by_its_days_28_or_more_back():
    month_before = [replace(r, reading_id=f"b{r.reading_id}", taken_at=r.taken_at - timedelta(days=31)) for r in week()]
    readings = [*month_before, *week()]
    current = home(readings)
    before = previous_window(readings, HOME, current=current, zone=BERLIN, apart_days=28, search_days=14)
    assert before is not None
    assert len(before.used) == 24
    assert before.ends_at is not None
    assert current.ends_at is not None
    assert current.ends_at - before.ends_at >= timedelta(days=28)


def test_an_average_of_visits_has_no_window_before_it():
    rule = averaging_rule("office_all")
    current = average([reading(at=at(1, 9), setting=Setting.OFFICE)], rule, as_of=AS_OF, zone=BERLIN)
    assert current.average is not None
    assert previous_window([], rule, current=current, zone=BERLIN, apart_days=28, search_days=14) is None


def test_a_window_does_not_follow_itself():
    readings = week()
    current = home(readings)
    assert previous_window(readings, HOME, current=current, zone=BERLIN, apart_days=0, search_days=14) is None
