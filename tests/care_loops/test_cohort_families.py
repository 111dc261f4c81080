"""The held-out families differ in kind, and each differs in what it says."""

from __future__ import annotations

import numpy as np
import pytest

from care_loops.pathways.hypertension.cohort_simulator.care import Step
from care_loops.pathways.hypertension.cohort_simulator.course import Plan, simulate
from care_loops.pathways.hypertension.cohort_simulator.families import build_families, families, family
from care_loops.pathways.hypertension.cohort_simulator.parameters import UnknownParameter, published
from care_loops.pathways.hypertension.cohort_simulator.people import BadCohort
from care_loops.pathways.hypertension.table_files import BadTable, read_table

PLAN = Plan(people=900, windows=4, seed=21)
HELD_OUT = {
    "no_effect",
    "adherence_misreported",
    "missing_not_at_random",
    "cuff_reads_high",
    "frail_lows",
    "other_spreads",
}


def mean(columns, name, where=slice(None)) -> float:
    return float(np.nanmean(columns[name][where]))


@pytest.fixture(scope="module")
def cohorts() -> dict[str, dict[str, np.ndarray]]:
    return {name: dict(simulate(PLAN, one.parameters(published())).columns) for name, one in families().items()}


def test_six_kinds_are_held_out():
    assert {name for name, one in families().items() if one.held_out} == HELD_OUT


def test_in_the_family_without_effect_no_step_does_anything(cohorts):
    none, usual = cohorts["no_effect"], cohorts["published"]
    assert not none["truth_step_fall"].any()
    gap = [mean(c, "next_systolic", c["step"] == Step.START) - mean(c, "next_systolic", c["step"] == Step.STAY)
           for c in (none, usual)]  # fmt: skip
    assert abs(gap[0]) < 1.5
    assert gap[1] < -2.5


def test_where_adherence_is_misreported_less_is_taken_and_more_is_said(cohorts):
    liars, usual = cohorts["adherence_misreported"], cohorts["published"]
    assert mean(liars, "truth_taken") < mean(usual, "truth_taken") - 0.08
    assert mean(liars, "reported_taken") > mean(usual, "reported_taken")
    assert float((liars["reported_taken"] == 1).mean()) > 0.6


def test_where_high_readings_are_left_out_means_lie_lower_than_the_truth(cohorts):
    hidden, usual = cohorts["missing_not_at_random"], cohorts["published"]
    excess = [float(np.nanmean(c["systolic"] - c["truth_systolic"])) for c in (hidden, usual)]
    assert excess[0] < excess[1] - 1
    assert np.isnan(hidden["next_systolic"]).mean() > 1.5 * np.isnan(usual["next_systolic"]).mean()


def test_a_cuff_reads_five_too_high_and_the_truth_is_the_same(cohorts):
    high, usual = cohorts["cuff_reads_high"], cohorts["published"]
    assert mean(high, "systolic") - mean(usual, "systolic") == pytest.approx(5, abs=0.3)
    assert mean(high, "truth_systolic") == pytest.approx(mean(usual, "truth_systolic"), abs=0.3)


def test_frail_people_feel_lows(cohorts):
    frail, usual = cohorts["frail_lows"], cohorts["published"]
    assert mean(frail, "age") > 75
    assert mean(frail, "next_lows_felt") > 4 * mean(usual, "next_lows_felt")
    assert mean(frail, "next_systolic_least") < mean(usual, "next_systolic_least") - 5


def test_other_spreads_are_wider_and_evenings_lie_above_mornings(cohorts):
    other, usual = cohorts["other_spreads"], cohorts["published"]
    assert mean(other, "systolic_sd") > 1.15 * mean(usual, "systolic_sd")
    assert mean(other, "morning_minus_evening") < -4 < 0 < mean(usual, "morning_minus_evening")


def test_people_hardly_differ_at_the_bell_setting(cohorts):
    for name in ("bell", "published"):
        columns = cohorts[name]
        began = columns["step"] == Step.START
        spread = float(columns["truth_step_fall"][began].std())
        assert (spread < 4) is (name == "bell")


def test_a_family_that_is_not_there_is_refused_and_those_there_are_named():
    with pytest.raises(BadCohort, match="no_effect"):
        family("kind")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"family": "none"}, BadTable), ({"value": "99"}, BadTable), ({"parameter": "none"}, UnknownParameter)],
    ids=["of no family", "outside its range", "of no parameter"],
)
def test_a_change_of_nothing_does_not_load(wrong, error):
    rows = read_table("cohort_families").rows
    changed = {**next(row for row in rows if row["about"] == "change"), **wrong}
    with pytest.raises(error):
        build_families((*(row for row in rows if row["about"] == "family"), changed), published())


def test_a_sealed_draw_stays_in_its_range_and_differs_from_the_open_one():
    for one in families().values():
        drawn = one.drawn(np.random.default_rng(3))
        assert set(drawn) == {change.parameter for change in one.changes}
        assert all(change.least <= drawn[change.parameter] <= change.most for change in one.changes)
        moved = [c for c in one.changes if c.least < c.most]
        assert not moved or any(drawn[c.parameter] != c.value for c in moved)
