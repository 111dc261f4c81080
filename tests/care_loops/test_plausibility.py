"""What is a measurement at all, at and around every limit; and what devices write instead of one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from care_loops.danger import Context, assess
from care_loops.domain.readings import Implausible
from care_loops.pathways.hypertension.tables_danger import danger_table
from care_loops.pathways.hypertension.tables_readings import plausibility_limits, reference_rows, sentinels
from care_loops.plausibility import Place, check, sentinel_places
from tests.care_loops.clinic import NO_DRUGS, NOW, PLAIN_FACTS, reading

HOME, OFFICE = plausibility_limits("home"), plausibility_limits("office")


@pytest.mark.parametrize(
    ("systolic", "diastolic", "pulse", "why"),
    [
        (59, 40, None, Implausible.SYSTOLIC_OUT_OF_RANGE),
        (59.5, 40, None, Implausible.SYSTOLIC_OUT_OF_RANGE),
        (60, 40, None, None),
        (61, 40, None, None),
        (279, 100, None, None),
        (280, 100, None, None),
        (280.5, 100, None, Implausible.SYSTOLIC_OUT_OF_RANGE),
        (281, 100, None, Implausible.SYSTOLIC_OUT_OF_RANGE),
        (120, 29, None, Implausible.DIASTOLIC_OUT_OF_RANGE),
        (120, 29.5, None, Implausible.DIASTOLIC_OUT_OF_RANGE),
        (120, 30, None, None),
        (120, 31, None, None),
        (250, 179, None, None),
        (250, 180, None, None),
        (250, 180.5, None, Implausible.DIASTOLIC_OUT_OF_RANGE),
        (250, 181, None, Implausible.DIASTOLIC_OUT_OF_RANGE),
        (100, 91, None, Implausible.PULSE_PRESSURE_TOO_SMALL),
        (100, 90.5, None, Implausible.PULSE_PRESSURE_TOO_SMALL),
        (100, 90, None, None),
        (100, 89, None, None),
        (80, 80, None, Implausible.SYSTOLIC_NOT_ABOVE_DIASTOLIC),
        (80, 130, None, Implausible.SYSTOLIC_NOT_ABOVE_DIASTOLIC),
        (120, 80, 24, Implausible.PULSE_OUT_OF_RANGE),
        (120, 80, 24.5, Implausible.PULSE_OUT_OF_RANGE),
        (120, 80, 25, None),
        (120, 80, 26, None),
        (120, 80, 219, None),
        (120, 80, 220, None),
        (120, 80, 220.5, Implausible.PULSE_OUT_OF_RANGE),
        (120, 80, 221, Implausible.PULSE_OUT_OF_RANGE),
        (None, 80, None, None),
        (120, None, None, None),
        (None, 20, None, Implausible.DIASTOLIC_OUT_OF_RANGE),
        (11, None, None, Implausible.SYSTOLIC_OUT_OF_RANGE),
        (879, 80, None, Implausible.SYSTOLIC_OUT_OF_RANGE),
        (2047, 238, None, Implausible.SENTINEL),
        (1823, 43, None, Implausible.SENTINEL),
        (0, 0, None, Implausible.SENTINEL),
        (255, 255, None, Implausible.SENTINEL),
        (255, 130, None, None),
        (120, 2047, None, Implausible.SENTINEL),
        (120, 2048, None, Implausible.SENTINEL),
        (120, 80, 2047, Implausible.SENTINEL),
        (120, 80, 0, Implausible.SENTINEL),
        (120, 80, 255, Implausible.SENTINEL),
        (-120, 80, None, Implausible.SENTINEL),
        (999, 80, None, Implausible.SENTINEL),
    ],
)
def test_what_is_held_back_at_home(systolic, diastolic, pulse, why):
    assert check(reading(systolic, diastolic, pulse=pulse), HOME, now=NOW) is why


@pytest.mark.parametrize(
    ("systolic", "diastolic", "why"),
    [
        (112, 0, None),
        (78, 72, None),
        (300, 100, None),
        (72, 72, Implausible.SYSTOLIC_NOT_ABOVE_DIASTOLIC),
        (301, 100, Implausible.SYSTOLIC_OUT_OF_RANGE),
        (0, 0, Implausible.SENTINEL),
    ],
)
def test_by_ear_a_diastolic_of_zero_is_a_finding(systolic, diastolic, why):
    assert check(reading(systolic, diastolic), OFFICE, now=NOW) is why


def test_the_future_is_held_back_where_a_clock_can_tell():
    later = reading(at=NOW + timedelta(seconds=1))
    assert check(later, HOME, now=NOW) is Implausible.FUTURE
    assert check(later, HOME, now=None) is None
    assert check(reading(at=NOW), HOME, now=NOW) is None


@pytest.mark.parametrize(
    ("pressure", "pulse", "places"),
    [
        ((2047, 95), None, {Place.SYSTOLIC}),
        ((2047, 238), None, {Place.SYSTOLIC, Place.DIASTOLIC}),
        ((185, 2047), None, {Place.DIASTOLIC}),
        ((185, 95), 2047, {Place.PULSE}),
        ((185, 95), 70, set()),
        ((None, None), None, set()),
    ],
)
def test_a_known_pair_silences_both_and_one_sentinel_only_itself(pressure, pulse, places):
    assert sentinel_places(reading(*pressure, pulse=pulse), sentinels()) == places


@pytest.mark.parametrize(("diastolic", "kinds"), [(125, {"crisis"}), (95, set())])
def test_a_systolic_that_is_no_number_does_not_hide_a_dangerous_diastolic(diastolic, kinds):
    context = Context(facts=PLAIN_FACTS, regimen=NO_DRUGS)
    found = assess(reading(2047, diastolic), context, received_at=NOW, table=danger_table())
    assert {finding.kind.value for finding in found} & {"crisis"} == kinds
    assert all(finding.unverified for finding in found)


def test_every_limit_and_sentinel_has_a_source():
    rows = reference_rows()
    assert {table for table, _, _ in rows} == {"averaging", "plausibility", "sentinels"}
    assert all(row.source.citation and row.value for _, _, row in rows)
