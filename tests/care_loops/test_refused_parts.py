"""Parts of what was refused, and what is dangerous in them: the pure rules behind every door (N4)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from care_loops.danger import Context, assess, dangers_in, dangers_in_lab, readings_in
from care_loops.domain.alerts import Ask
from care_loops.domain.parts import Bound, LabRead, PartsRead, json_said, number_said, pressure_said, rate_said
from care_loops.domain.readings import Flag, Implausible, Method
from care_loops.domain.record import DrugClass, LabKind
from care_loops.domain.units import Bpm, MmHg
from care_loops.pathways.hypertension.tables_danger import danger_table
from tests.care_loops.clinic import NO_DRUGS, NOW, PLAIN_FACTS, changed, days, lab, reading, taking

TABLE = danger_table()
CALM = Context(facts=PLAIN_FACTS, regimen=NO_DRUGS)


def like(**more: object):
    return reading(None, None, at=NOW, quarantined=Implausible.PARTLY_READ, **more)


def parts(systolic: object = (), diastolic: object = (), pulse: object = (), **more: object) -> PartsRead:
    def each(kind, values):
        return tuple(kind(Decimal(v)) for v in (values if isinstance(values, tuple) else (values,)))

    how = {"taken_at": NOW} | more
    return PartsRead(systolic=each(MmHg, systolic), diastolic=each(MmHg, diastolic), pulse=each(Bpm, pulse), **how)


def kinds(read: PartsRead, **more: object) -> list[str]:
    found = dangers_in(readings_in(read, like=like(**more)), CALM, received_at=NOW, table=TABLE)
    return [finding.kind.value for danger in found for finding in danger.findings]


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (parts(180), ["crisis"]),
        (parts(179), []),
        (parts((), 120), ["crisis"]),
        (parts((), 119), ["diastolic_over_limit"]),
        (parts(89), ["low"]),
        (parts((), 59), ["low"]),
        (parts((), (), 49), ["heart_rate"]),
        (parts((), (), 50), []),
        (parts(2047, 2047), []),
        (parts(2047, 2047, 28), ["heart_rate"]),
        (parts(128, 82, 70), []),
        (parts(), []),
        (parts((120, 210)), ["crisis"]),
        (parts((120, 85)), ["low"]),
        (parts((210, 85)), ["crisis", "low"]),
    ],
    ids=str,
)
def test_each_part_speaks_at_the_numbers_of_its_rule(read, said):
    assert [k for k in kinds(read) if k in said or k in ("crisis", "low", "heart_rate")] == [
        k for k in said if k in ("crisis", "low", "heart_rate")
    ]


def test_what_could_be_read_is_unverified_asks_to_repeat_now_and_confirms_nothing():
    [danger] = dangers_in(readings_in(parts(210), like=like()), CALM, received_at=NOW, table=TABLE)
    [crisis] = [f for f in danger.findings if f.kind == "crisis"]
    assert crisis.unverified
    assert crisis.page
    assert Ask.REPEAT_NOW in crisis.asks
    first = reading(195, 100, at=NOW - timedelta(minutes=10))
    known = Context(facts=PLAIN_FACTS, regimen=NO_DRUGS, readings=(first,))
    [again] = dangers_in(readings_in(parts(210), like=like()), known, received_at=NOW, table=TABLE)
    assert {f.severity for f in again.findings if f.kind == "crisis"} == {crisis.severity}
    whole = assess(reading(210, 100, at=NOW), known, received_at=NOW, table=TABLE)
    assert whole[0].severity.rank > crisis.severity.rank, "two whole readings are graver"


def test_without_a_time_it_counts_as_received_now_and_with_one_by_its_age():
    assert kinds(parts(210, taken_at=None)) == kinds(parts(210))
    [old] = dangers_in(
        readings_in(parts(210, taken_at=NOW - days(15)), like=like()), CALM, received_at=NOW, table=TABLE
    )
    assert all(f.historic for f in old.findings)
    [unsure] = readings_in(parts(210, taken_at=None), like=like())
    assert Flag.CLOCK_UNCERTAIN in unsure.flags


def test_without_a_cuff_it_asks_for_a_cuff():
    [danger] = dangers_in(
        readings_in(parts((), (), 28), like=like(method=Method.CUFFLESS)), CALM, received_at=NOW, table=TABLE
    )
    assert [Ask.CUFF_READING in f.asks for f in danger.findings] == [True]


@pytest.mark.parametrize(
    ("written", "value", "bound"),
    [
        (6.5, None, None),  # a binary float never comes from JSON here
        (Decimal("6.5"), "6.5", Bound.EXACT),
        (7, "7", Bound.EXACT),
        ("6.5", "6.5", Bound.EXACT),
        ("6,5", "6.5", Bound.EXACT),
        (">6.5", "6.5001", Bound.OVER),
        (" >= 6.5 ", "6.5", Bound.OVER),
        ("<30", "29.9999", Bound.UNDER),
        ("≤30", "30", Bound.UNDER),
        ("6.5 mmol/L", "6.5", Bound.EXACT),
        (True, None, None),
        (None, None, None),
        ("", None, None),
        ("E", None, None),
        ("about 6", None, None),
        (Decimal("NaN"), None, None),
        (Decimal("1e9"), None, None),
        ([6], None, None),
    ],
    ids=str,
)
def test_a_number_as_people_and_laboratories_write_it(written, value, bound):
    found = number_said(written)
    assert (found and (found.value, found.bound)) == (value and (Decimal(value), bound))


@pytest.mark.parametrize("unit", ["psi", "", None, "mmol/L", ["mmHg"], "mmHg/s"])
def test_a_number_without_a_known_unit_is_no_pressure_and_no_rate(unit):
    assert pressure_said(210, unit=unit) == ()
    assert rate_said(28, unit=unit) == ()
    assert pressure_said("210/125", unit="mmHg") == ()


def test_kilopascals_convert_and_people_write_units_in_their_own_way():
    assert pressure_said(28, unit="kPa") == (MmHg(Decimal("210.0174")),)
    assert pressure_said(210, unit="mm Hg") == pressure_said(210, unit="mmhg") == (MmHg(Decimal(210)),)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.decimals(), st.lists(st.integers())))
def test_reading_a_part_never_fails(value):
    for unit in ("mmHg", "kPa", value):
        for found in (*pressure_said(value, unit=unit, comparator=value), *rate_said(value, unit=unit)):
            assert found.value.is_finite()


@given(st.binary(max_size=60))
def test_reading_a_body_never_fails(body):
    assert len(json_said(body)) <= 2


def test_a_key_that_stands_twice_is_read_both_ways():
    assert json_said(b'{"a": 1, "a": 2}') == ({"a": 2}, {"a": 1})
    assert json_said(b'{"a": NaN, "b": 2} trailing') == ({"a": "NaN", "b": 2},)


# Laboratory results


def spoken(kind: LabKind, value: object, bound: Bound, known: Context = CALM) -> list[str]:
    read = LabRead(kind, Decimal(str(value)), bound, NOW)
    found = dangers_in_lab(read, "k", known, received_at=NOW, table=TABLE)
    assert all(f.unverified and Ask.REPEAT_LAB in f.asks for f in found)
    return [rule for f in found for rule in f.rules]


@pytest.mark.parametrize(
    ("value", "bound", "speaks"),
    [
        ("6.0", Bound.EXACT, True),
        ("6.0", Bound.OVER, True),
        ("6.0", Bound.UNDER, False),
        ("5.9999", Bound.OVER, False),
    ],
)
def test_a_potassium_bound_at_or_over_the_limit_is_dangerous(value, bound, speaks):
    assert ("L5.potassium_stop" in spoken(LabKind.POTASSIUM, value, bound)) is speaks


@pytest.mark.parametrize(
    ("kind", "before", "value", "bound", "speaks"),
    [
        (LabKind.EGFR, 80, 59, Bound.UNDER, True),
        (LabKind.EGFR, 80, 61, Bound.UNDER, False),
        (LabKind.EGFR, 90, 60, Bound.OVER, False),  # "over 60" is no fall
        (LabKind.CREATININE, 100, 131, Bound.OVER, True),
        (LabKind.CREATININE, 100, 131, Bound.UNDER, False),
    ],
)
def test_a_bound_shows_a_fall_only_from_above_and_a_rise_only_from_below(kind, before, value, bound, speaks):
    known = Context(
        facts=PLAIN_FACTS,
        regimen=taking(DrugClass.ACE_INHIBITOR),
        labs=(lab(kind, before, at=NOW - days(20)),),
        changes=(changed(DrugClass.ACE_INHIBITOR, at=NOW - days(10)),),
    )
    assert bool(spoken(kind, value, bound, known)) is speaks


def test_a_bound_is_nobodys_baseline():
    known = Context(
        facts=PLAIN_FACTS,
        regimen=taking(DrugClass.ACE_INHIBITOR),
        labs=(lab(LabKind.CREATININE, 200, at=NOW - days(1)),),
        changes=(changed(DrugClass.ACE_INHIBITOR, at=NOW - days(10)),),
    )
    read = LabRead(LabKind.CREATININE, Decimal(100), Bound.EXACT, NOW - days(20))
    assert dangers_in_lab(read, "k", known, received_at=NOW, table=TABLE) == ()
