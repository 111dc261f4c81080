"""Averages over every set of readings, and beside what others measured and computed (CLINICAL 1.1)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from care_loops.averaging import average
from care_loops.domain.readings import Flag, Insufficient, Method, NotUsed, Reading, Setting, Status
from care_loops.pathways.hypertension import tables_readings
from care_loops.pathways.hypertension.tables_readings import averaging_rule
from care_loops.pathways.hypertension.tables_therapy import BadTable
from tests.care_loops.clinic import BERLIN, data_set, reading
from tests.care_loops.weeks import AS_OF, HOME, at, home, week, why

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
