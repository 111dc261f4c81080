"""How home and office readings become an average (CLINICAL 1.1). Golden vectors a clinician can check by hand."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from care_loops.averaging import average, previous_window
from care_loops.domain.readings import (
    Flag,
    Implausible,
    Insufficient,
    Method,
    NotUsed,
    Position,
    Reading,
    Setting,
    Status,
    WindowResult,
)
from care_loops.pathways.hypertension import tables_readings
from care_loops.pathways.hypertension.tables_readings import averaging_rule
from care_loops.pathways.hypertension.tables_therapy import BadTable
from tests.care_loops.clinic import BERLIN, data_set, reading

HOME = averaging_rule("home_7_day")
FIRST_DAY = date(2026, 3, 1)
AS_OF = datetime(2026, 3, 8, tzinfo=BERLIN)


def at(day: int, hour: int, minute: int = 0, second: int = 0, zone: ZoneInfo = BERLIN) -> datetime:
    """Local time on day 1, 2, ... of the week."""
    return datetime.combine(FIRST_DAY + timedelta(days=day - 1), time(hour, minute, second), tzinfo=zone)


def day_of(day: int, *, systolic: int = 130, diastolic: int = 80) -> list[Reading]:
    """Two readings in the morning and two in the evening."""
    times = ((7, 0), (7, 1), (20, 0), (20, 1))
    return [reading(systolic, diastolic, at=at(day, h, m)) for h, m in times]


def week() -> list[Reading]:
    return [r for day in range(1, 8) for r in day_of(day)]


def home(readings: Sequence[Reading], **more: object) -> WindowResult:
    return average(readings, HOME, as_of=more.pop("as_of", AS_OF), zone=BERLIN, **more)


def why(result: WindowResult, one: Reading) -> NotUsed:
    return {left.reading_id: left.why for left in result.not_used}[one.reading_id]


# ---- enough, and not enough


def test_a_week_of_28_readings_uses_24_and_leaves_out_the_first_day():
    first, *rest = [day_of(1, systolic=190, diastolic=110), *(day_of(d) for d in range(2, 8))]
    result = home([*first, *[r for day in rest for r in day]])
    assert result.average is not None
    assert (result.average.systolic.value, result.average.diastolic.value) == (130, 80)
    assert len(result.used) == 24
    assert {why(result, r) for r in first} == {NotUsed.FIRST_DAY}


def test_twelve_readings_do():
    result = home([r for day in (1, 2, 3, 4) for r in day_of(day)])
    assert len(result.used) == 12
    assert result.average is not None


def test_eleven_readings_do_not():
    evening_of_three = [reading(at=at(4, 20, m)) for m in (0, 1, 2)]
    readings = [r for day in (1, 2, 3) for r in day_of(day)] + evening_of_three
    result = home(readings)
    assert len(result.used) == 11
    assert (result.average, result.reason) == (None, Insufficient.TOO_FEW_READINGS)


def test_a_single_reading_makes_no_session_and_twelve_become_eleven():
    readings = [r for day in (1, 2, 3, 4) for r in day_of(day)]
    assert home(readings).average is not None
    result = home(readings[:-1])
    assert result.reason is Insufficient.TOO_FEW_READINGS
    assert why(result, readings[-2]) is NotUsed.SESSION_TOO_SMALL


def test_two_days_after_the_first_are_too_few_however_many_readings():
    many = [reading(at=at(d, h, m)) for d in (2, 3) for h in (7, 20) for m in range(4)]
    assert home([*day_of(1), *many]).reason is Insufficient.TOO_FEW_DAYS


@pytest.mark.parametrize(("hour", "lack"), [(20, Insufficient.NO_MORNING), (7, Insufficient.NO_EVENING)])
def test_mornings_alone_or_evenings_alone_are_not_enough(hour, lack):
    assert home([reading(at=at(d, hour, m)) for d in range(1, 8) for m in (0, 2, 4)]).reason is lack


def test_no_reading_no_average():
    assert home([]).reason is Insufficient.NO_READINGS


def test_the_mean_is_kept_unrounded_and_shown_rounded_half_up():
    readings = week()
    readings[4] = replace(readings[4], systolic=reading(142).systolic)
    result = home(readings)
    assert result.average is not None
    assert result.average.systolic.value == Decimal("130.5")
    assert result.average.systolic.rounded() == 131


def test_the_pulse_is_the_mean_of_the_pulses_there_are():
    readings = week()
    readings[4], readings[5] = (replace(readings[i], pulse=reading(pulse=p).pulse) for i, p in ((4, 60), (5, 71)))
    result = home(readings)
    assert result.pulse is not None
    assert result.pulse.value == Decimal("65.5")


# ---- which readings count


@pytest.mark.parametrize(
    ("made_worse", "expected"),
    [
        ({"method": Method.CUFFLESS}, NotUsed.NOT_UPPER_ARM_CUFF),
        ({"method": Method.WRIST_CUFF}, NotUsed.NOT_UPPER_ARM_CUFF),
        ({"method": Method.UNKNOWN}, NotUsed.NOT_UPPER_ARM_CUFF),
        ({"device_validated": False}, NotUsed.DEVICE_NOT_VALIDATED),
        ({"setting": Setting.OFFICE}, NotUsed.NOT_HOME),
        ({"setting": Setting.UNKNOWN}, NotUsed.NOT_HOME),
        ({"status": Status.PRELIMINARY}, NotUsed.VOID_STATUS),
        ({"status": Status.ENTERED_IN_ERROR}, NotUsed.VOID_STATUS),
        ({"diastolic": None}, NotUsed.COMPONENT_ABSENT),
        ({"systolic": None}, NotUsed.COMPONENT_ABSENT),
        ({"quarantined": Implausible.SENTINEL}, NotUsed.QUARANTINED),
        ({"flags": (Flag.MOTION,)}, NotUsed.MOTION),
        ({"flags": (Flag.POST_EXERCISE,)}, NotUsed.POST_EXERCISE),
        ({"flags": (Flag.CLOCK_UNCERTAIN,)}, NotUsed.CLOCK_UNCERTAIN),
        ({"position": Position.STANDING}, NotUsed.STANDING),
        ({"position": Position.LYING}, NotUsed.LYING),
    ],
)
def test_what_may_not_titrate_is_left_out_by_name(made_worse, expected):
    odd = replace(reading(250, 150, at=at(3, 7, 5)), **made_worse)
    result = home([*week(), odd])
    assert why(result, odd) is expected
    assert result.average is not None
    assert result.average.systolic.value == 130


@pytest.mark.parametrize("status", [Status.FINAL, Status.AMENDED, Status.CORRECTED])
def test_final_amended_and_corrected_count(status):
    assert len(home([replace(r, status=status) for r in week()]).used) == 24


def test_the_same_upload_twice_counts_once():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    again = [replace(r, reading_id=f"z{r.reading_id}") for r in readings]
    result = home([*readings, *again])
    assert set(result.used) == set(home(readings).used)
    assert {why(result, r) for r in again} == {NotUsed.DUPLICATE}


def test_the_same_instant_on_two_devices_is_two_readings_and_they_are_too_close():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    other = replace(readings[8], reading_id="z-other", device_id="cuff-2")
    assert why(home([*readings, other]), other) is NotUsed.TOO_CLOSE


def test_without_a_device_the_same_instant_and_values_are_a_duplicate():
    readings = week()
    twin = replace(readings[8], reading_id="z-twin")
    assert why(home([*readings, twin]), twin) is NotUsed.DUPLICATE


def test_the_same_id_handed_in_twice_counts_once():
    readings = week()
    result = home([*readings, readings[8]])
    assert len(result.used) == 24
    assert why(result, readings[8]) is NotUsed.DUPLICATE


def test_a_correction_takes_the_place_of_what_it_corrects():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    corrected = replace(readings[8], reading_id="z", status=Status.CORRECTED, systolic=reading(154).systolic)
    result = home([*readings, corrected])
    assert why(result, readings[8]) is NotUsed.DUPLICATE
    assert result.average is not None
    assert result.average.systolic.value == 131


def test_what_was_entered_in_error_does_not_hide_the_right_entry():
    readings = [replace(r, device_id="cuff-1") for r in week()]
    wrong = replace(readings[8], reading_id="a-wrong", status=Status.ENTERED_IN_ERROR)
    result = home([*readings, wrong])
    assert why(result, wrong) is NotUsed.VOID_STATUS
    assert len(result.used) == 24


def test_readings_of_the_future_are_not_used():
    later = reading(at=AS_OF + timedelta(seconds=1))
    assert why(home([*week(), later]), later) is NotUsed.FUTURE


@pytest.mark.parametrize(("seconds", "used"), [(59, 22), (60, 24), (61, 24)])
def test_two_readings_of_a_session_lie_a_minute_apart(seconds, used):
    readings = week()
    readings[9] = replace(readings[9], taken_at=readings[8].taken_at + timedelta(seconds=seconds))
    assert len(home(readings).used) == used


def test_a_third_reading_may_make_up_for_one_that_came_too_soon():
    readings = [r for r in week() if r.taken_at not in {at(3, 7, 0), at(3, 7, 1)}]
    three = [reading(at=at(3, 7, 0, s)) for s in (0, 30)] + [reading(at=at(3, 7, 1))]
    result = home([*readings, *three])
    assert len(result.used) == 24
    assert why(result, three[1]) is NotUsed.TOO_CLOSE


def test_noon_belongs_to_the_afternoon():
    either_side = [reading(at=at(3, 11, 59, 0)), reading(at=at(3, 12, 0))]
    others = [r for r in week() if r.taken_at.date() != FIRST_DAY + timedelta(days=2)]
    result = home([*others, *either_side])
    assert {why(result, r) for r in either_side} == {NotUsed.SESSION_TOO_SMALL}


def test_in_atrial_fibrillation_a_session_needs_three_readings():
    assert home(week(), atrial_fibrillation=True).reason is Insufficient.TOO_FEW_READINGS
    third = [reading(at=at(d, h, 3)) for d in range(1, 8) for h in (7, 20)]
    assert len(home([*week(), *third], atrial_fibrillation=True).used) == 36


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


# ---- every set of readings


def test_naive_times_are_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="offset"):
        home([reading(at=datetime(2026, 3, 1))])


def _a_minute_later(one: Reading) -> Reading:
    return replace(one, reading_id=f"{one.reading_id}b", taken_at=one.taken_at + timedelta(seconds=60))


minutes = st.integers(min_value=-3 * 1440, max_value=9 * 1440)
any_reading = st.builds(
    lambda minute, s, d, m, device, f, status, number: replace(
        reading(s, d, at=at(1, 0) + timedelta(minutes=minute)),
        reading_id=f"h{number}",
        method=m,
        device_id=device,
        flags=f,
        status=status,
    ),
    minutes,
    st.one_of(st.none(), st.integers(90, 200)),
    st.one_of(st.none(), st.integers(50, 89)),
    st.sampled_from([Method.UPPER_ARM_CUFF, Method.UPPER_ARM_CUFF, Method.CUFFLESS]),
    st.sampled_from([None, None, "cuff-1"]),
    st.sampled_from([(), (), (), (Flag.MOTION,)]),
    st.sampled_from([Status.FINAL, Status.FINAL, Status.CORRECTED, Status.ENTERED_IN_ERROR]),
    st.integers(0, 10**6),
)
paired = st.lists(any_reading, max_size=20).map(
    lambda some: [
        r
        for one in some
        for r in (one, replace(one, reading_id=f"{one.reading_id}b", taken_at=one.taken_at + timedelta(seconds=60)))
    ]
)
#: A protocol kept with gaps, so that sufficient windows occur often.
kept_with_gaps = st.sets(st.integers(0, 27), max_size=16).map(
    lambda gone: [r for i, r in enumerate(week()) if i not in gone]
)
histories = st.builds(lambda a, b: a + b, kept_with_gaps, paired)


@settings(max_examples=60, deadline=None)
@given(histories, st.randoms(use_true_random=False), st.booleans())
def test_each_reading_stands_once_and_the_order_does_not_matter(readings, rng, af):
    result = home(readings, atrial_fibrillation=af)
    assert sorted([*result.used, *(left.reading_id for left in result.not_used)]) == sorted(
        r.reading_id for r in readings
    )
    shuffled = list(readings)
    rng.shuffle(shuffled)
    again = home(shuffled, atrial_fibrillation=af)
    assert replace(again, used=()) == replace(result, used=())
    assert sorted(again.used) == sorted(result.used)


@settings(max_examples=60, deadline=None)
@given(histories)
def test_an_average_is_the_mean_of_at_least_twelve_cuff_readings_on_three_days(readings):
    result = home(readings)
    if result.average is None:
        return
    used = {r.reading_id: r for r in readings if r.reading_id in result.used}
    assert len(result.used) >= 12
    assert all(r.method is Method.UPPER_ARM_CUFF and r.systolic and r.diastolic and not r.flags for r in used.values())
    assert len({r.taken_at.astimezone(BERLIN).date() for r in used.values()}) >= 3


def test_the_histories_reach_both_answers():
    seen: set[bool] = set()

    @settings(max_examples=60, deadline=None, database=None)
    @given(histories)
    def record(readings):
        seen.add(home(readings).average is None)

    record()
    assert seen == {True, False}


# ---- what others measured


def _oracle_home(readings: Sequence[Reading], as_of: datetime) -> tuple[float, float] | None:
    """A second, plain reading of CLINICAL 1.1, on lists and floats, that shares no code with ours."""
    end = as_of.date()
    rows = sorted(
        (r.taken_at.replace(tzinfo=None), float(r.systolic.value), float(r.diastolic.value))
        for r in readings
        if r.systolic and r.diastolic and end - timedelta(days=7) <= r.taken_at.date() < end
    )
    first = min((w.date() for w, _, _ in rows), default=end)
    sessions: dict[tuple[date, bool], list[tuple[datetime, float, float]]] = {}
    for row in rows:
        if row[0].date() > first:
            session = sessions.setdefault((row[0].date(), row[0].hour < 12), [])
            if not session or (row[0] - session[-1][0]).total_seconds() >= 60:
                session.append(row)
    good = {k: v for k, v in sessions.items() if len(v) >= 2}
    left = [row for v in good.values() for row in v]
    if len(left) < 12 or len({k[0] for k in good}) < 3 or len({k[1] for k in good}) < 2:
        return None
    return sum(s for _, s, _ in left) / len(left), sum(d for _, _, d in left) / len(left)


def test_a_real_person_at_home_agrees_with_a_second_reading_of_the_rule():
    """163 readings over months, as taken, then the same moved to keep the protocol; times of day in one zone."""
    with (data_set("bp_home") / "bp_jhs_omron_evolv.csv").open() as file:
        rows = [
            (datetime.fromisoformat(r["DateTime"]), int(r["Sys.mmHg."]), int(r["Dias.mmHg."]))
            for r in csv.DictReader(file)
        ]
    real = [reading(s, d, at=w.replace(tzinfo=UTC), zone="UTC") for w, s, d in rows]
    start = datetime(2026, 1, 5, 7, tzinfo=UTC)
    kept = [
        reading(s, d, at=start + timedelta(days=i // 4, hours=13 * (i // 2 % 2), minutes=2 * (i % 2)), zone="UTC")
        for i, (_, s, d) in enumerate(rows)
    ]
    answers = 0
    for readings in (real, kept):
        last = max(r.taken_at for r in readings).replace(hour=0, minute=0, second=0)
        for back in range(60):
            as_of = last - timedelta(days=back)
            ours = average(readings, HOME, as_of=as_of, zone=ZoneInfo("UTC")).average
            theirs = _oracle_home(readings, as_of)
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                assert float(ours.systolic.value) == pytest.approx(theirs[0])
                assert float(ours.diastolic.value) == pytest.approx(theirs[1])
                answers += 1
    assert answers >= 25


def _visit(row: dict[str, str], places: Sequence[int]) -> list[Reading]:
    begin = datetime(2010, 1, 5, 9, tzinfo=UTC)
    made = []
    for place in places:
        systolic, diastolic = row[f"BPSys{place}"], row[f"BPDia{place}"]
        values = (None if systolic == "NA" else systolic, None if diastolic == "NA" else diastolic)
        made.append(reading(*values, at=begin + timedelta(minutes=place), zone="UTC", setting=Setting.OFFICE))
    return made


def test_the_survey_s_own_averages_in_every_row():
    """US NHANES 2009-2010: systolic and diastolic, all 4,270 rows with a pressure."""
    rule = averaging_rule("office_drop_first")
    differ, rows = [], 0
    with (data_set("nhanes_bp") / "nhanes_bp_2009_10.csv").open() as file:
        for row in csv.DictReader(file):
            result = average(_visit(row, (1, 2, 3)), rule, as_of=datetime(2010, 1, 6, tzinfo=UTC), zone=ZoneInfo("UTC"))
            if row["BPSysAve"] == "NA":
                assert result.reason is Insufficient.NO_READINGS
                continue
            rows += 1
            assert result.average is not None
            ours = result.average
            shown = (ours.systolic.rounded(), ours.diastolic.rounded())
            if shown != (Decimal(row["BPSysAve"]), Decimal(row["BPDiaAve"])):
                differ.append((row, shown))
    assert rows == 4270
    assert differ == []


def test_office_all_is_the_plain_mean():
    rule = averaging_rule("office_all")
    visit = [reading(s, 80, at=at(1, 9, m), setting=Setting.OFFICE) for m, s in enumerate((150, 140, 130))]
    result = average(visit, rule, as_of=AS_OF, zone=BERLIN)
    assert result.average is not None
    assert result.average.systolic.value == 140
    assert len(result.used) == 3


def test_each_visit_has_its_own_first_reading():
    rule = averaging_rule("office_drop_first")
    visits = [
        reading(s, 80, at=at(day, 9, m), setting=Setting.OFFICE, session=name)
        for day, name in ((1, "a"), (4, "b"))
        for m, s in enumerate((190, 140, 150))
    ]
    result = average(visits, rule, as_of=AS_OF, zone=BERLIN)
    assert result.average is not None
    assert result.average.systolic.value == 145
    unnamed = average([replace(r, session=None) for r in visits], rule, as_of=AS_OF, zone=BERLIN)
    assert unnamed.used == result.used


def test_a_first_attempt_without_a_number_was_still_the_first():
    rule = averaging_rule("office_drop_first")
    absent = reading(None, None, at=at(1, 9, 0), setting=Setting.OFFICE)
    rest = [reading(s, 80, at=at(1, 9, m), setting=Setting.OFFICE) for m, s in ((1, 144), (2, 136))]
    result = average([absent, *rest], rule, as_of=AS_OF, zone=BERLIN)
    assert len(result.used) == 2
    assert result.average is not None
    assert result.average.systolic.rounded() == Decimal(140).quantize(Decimal(1), ROUND_HALF_UP)


def test_one_office_reading_stands_alone():
    alone = [
        reading(144, 82, at=at(1, 9, 0), setting=Setting.OFFICE),
        reading(None, None, at=at(1, 9, 1), setting=Setting.OFFICE),
    ]
    result = average(alone, averaging_rule("office_drop_first"), as_of=AS_OF, zone=BERLIN)
    assert result.used == (alone[0].reading_id,)


def test_home_readings_are_no_office_readings():
    one = reading(at=at(1, 9, 0))
    result = average([one], averaging_rule("office_all"), as_of=AS_OF, zone=BERLIN)
    assert why(result, one) is NotUsed.NOT_OFFICE


def test_every_value_of_every_rule_has_a_source():
    for name in ("home_7_day", "office_drop_first", "office_all"):
        rule = averaging_rule(name)
        assert {row.row for row in rule.rows} == {f for f in rule.__slots__ if f not in {"name", "version", "rows"}}


def test_a_rule_that_lacks_a_row_does_not_load():
    with pytest.raises(BadTable, match="no row"):
        tables_readings._rule("half a rule", "1", {})


def test_a_number_of_the_rule_that_is_changed_is_noticed():
    readings = week()
    mutants = {
        "window_days": 6,
        "discard_first_day": False,
        "session_readings": 3,
        "gap_seconds": 61,
        "min_readings": 25,
        "min_days": 7,
        "settle_days": 20,
    }
    sound = home(readings, last_change_at=at(1, 0) - timedelta(days=14))
    assert sound.average is not None
    for field, value in mutants.items():
        mutant = average(
            readings,
            replace(HOME, **{field: value}),
            as_of=AS_OF,
            zone=BERLIN,
            last_change_at=at(1, 0) - timedelta(days=14),
        )
        assert (mutant.average is None, len(mutant.used)) != (False, 24), field
