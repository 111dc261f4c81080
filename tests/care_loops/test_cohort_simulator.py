"""Simulated people: what holds of every cohort, whatever its numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from care_loops.pathways.hypertension import cohort_simulator
from care_loops.pathways.hypertension.cohort_simulator.body import body_of
from care_loops.pathways.hypertension.cohort_simulator.care import Step
from care_loops.pathways.hypertension.cohort_simulator.course import (
    UNITS,
    Cohort,
    Plan,
    Role,
    dose_columns,
    role_of,
    simulate,
)
from care_loops.pathways.hypertension.cohort_simulator.cuff import averaged, home_week, measured, office_visit
from care_loops.pathways.hypertension.cohort_simulator.drugs import build_pharmacy, curve, pharmacy
from care_loops.pathways.hypertension.cohort_simulator.parameters import (
    UnknownParameter,
    build_parameters,
    published,
)
from care_loops.pathways.hypertension.cohort_simulator.people import BadCohort, draw_people, usual_population
from care_loops.pathways.hypertension.cohort_simulator.trials import prescribed, trial_people, untreated
from care_loops.pathways.hypertension.table_files import BadTable, read_table
from care_loops.pathways.hypertension.tables_drugs import formulary
from care_loops.pathways.hypertension.tables_therapy import rulebook
from tests.care_loops.clinic import reading
from tests.care_loops.weeks import at, home

P = published()
PLAN = Plan(people=400, windows=5, seed=11)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate(PLAN, P)


def by_window(cohort: Cohort, name: str) -> np.ndarray:
    return cohort.columns[name].reshape(PLAN.people, PLAN.windows - 1)


# ---- the numbers


def test_every_parameter_is_used_and_every_name_that_is_used_is_a_parameter():
    code = "".join(path.read_text("utf-8") for path in Path(cohort_simulator.__file__).parent.glob("*.py"))
    used = set(re.findall(r"\b(?:p|self\.p|body\.p)\[f?\"([^\"{]+)\"\]", code)) | set(
        re.findall(r'"(\w+_intensify)"', code)
    )
    made = {f"drugs_{word}" for word in ("one", "two", "three", "four")}
    made |= {
        f"{whose}_target_{part}"
        for whose in ("office", "home", "self", "programme")
        for part in ("systolic", "diastolic")
    }
    assert used | made == set(P.numbers)


@pytest.mark.parametrize(
    "change", [{"no_such": 1.0}, {"day_sd": float("nan")}, {"day_sd": float("inf")}, {"day_sd": True}]
)
def test_a_parameter_that_is_none_is_refused_by_name(change):
    with pytest.raises(UnknownParameter, match=next(iter(change))):
        P.changed(change)
    with pytest.raises(UnknownParameter, match="no_such"):
        P["no_such"]


@pytest.mark.parametrize("wrong", [{"mark": "proposal"}, {"found": "heard"}, {"unit": ""}, {"found": None}])
def test_a_parameter_without_unit_or_marked_otherwise_than_it_was_found_does_not_load(wrong):
    rows = read_table("cohort_parameters").rows
    with pytest.raises(BadTable):
        build_parameters(({**next(row for row in rows if row["found"] == "read"), **wrong},))
    with pytest.raises(BadTable):
        build_parameters((rows[0], rows[0]))


def test_every_drug_that_is_titrated_is_simulated_on_its_own_ladder():
    shop = pharmacy()
    assert shop.ingredients == tuple(drug.ingredient for drug in formulary().titrated)
    assert shop.rungs.tolist() == [len(drug.steps) for drug in formulary().titrated]
    rows = read_table("cohort_drugs").rows
    with pytest.raises(BadTable, match="lisinopril"):
        build_pharmacy(tuple(row for row in rows if row.get("name") != "lisinopril"))


def test_more_of_a_drug_never_lowers_pressure_less():
    shop, doses = pharmacy(), np.linspace(0, 5, 101)
    for drug, name in enumerate(shop.names):
        for grid in (shop.grid, shop.fourth):
            fall = curve(grid, np.full(len(doses), drug), doses)
            assert fall[0].tolist() == [0, 0], name
            assert (np.diff(fall, axis=0) >= -1e-9).all(), name


# ---- people and their pressure


def test_entry_pressure_is_what_was_drawn_whatever_drugs_are_taken():
    people = draw_people(4_000, usual_population(P), P, np.random.default_rng(2))
    body = body_of(people, P, np.random.default_rng(3))
    seen = body.home_level() - people.home
    assert np.abs(seen.mean(axis=0)).max() < 0.4
    assert (people.home[:, 0] >= P["home_systolic_least"]).all()
    assert (people.home[:, 0] > people.home[:, 1]).all()


def test_people_chosen_by_one_high_pressure_fall_back_without_any_drug():
    quiet = P.changed({"effect_scale": 0, "drift_year": 0, "habituation": 0})
    people, entry = trial_people(1_000, quiet, np.random.default_rng(4))
    body = body_of(people, quiet, np.random.default_rng(5))
    body.advance(28, np.random.default_rng(6))
    again = office_visit(body, np.random.default_rng(7))
    assert 5 < float((entry - again)[:, 0].mean()) < 12


def test_the_office_reads_higher_than_home_by_the_white_coat():
    people = draw_people(4_000, usual_population(P), P, np.random.default_rng(8))
    body = body_of(people, P, np.random.default_rng(9))
    coat = (body.office_level() - body.home_level())[:, 0]
    assert abs(coat.mean() - P["white_coat_mean"]) < 0.6
    assert abs(coat.std() - P["white_coat_sd"]) < 0.5
    assert (coat < 0).mean() > 0.2  # masked: some read lower in the office


def test_what_is_stopped_wears_off_and_what_is_missed_wears_off_sooner():
    people = prescribed(draw_people(200, untreated(P, 150.0), P, np.random.default_rng(1)), {"lisinopril": 1.0})
    chance = np.random.default_rng(2)
    body = body_of(people, P, chance, perfect=True)
    full = body.fall()[:, 0].mean()
    body.prescribe(body.drug, np.zeros_like(body.multiple))
    body.advance(1, chance)
    after_a_day = body.fall()[:, 0].mean()
    body.advance(13, chance)
    assert 0.3 * full < after_a_day < 0.6 * full  # half-life of a day
    assert abs(body.fall()[:, 0].mean()) < 0.05 * full


def test_the_mean_of_a_week_is_the_one_that_care_makes_of_the_same_readings():
    people = draw_people(60, usual_population(P), P.changed({"session_missed_share": 0.4}), np.random.default_rng(3))
    chance = np.random.default_rng(4)
    body = body_of(people, P.changed({"session_missed_share": 0.4}), chance)
    week = home_week(body, chance)
    means = 0
    for person, mean in zip(week.readings, week.mean, strict=True):
        taken = [
            reading(
                int(person[day, half, nth, 0]), int(person[day, half, nth, 1]), at=at(day + 1, 7 + 13 * half, 2 * nth)
            )
            for day, half, nth in np.ndindex(7, 2, 2)
            if not np.isnan(person[day, half, nth, 0])
        ]
        theirs = home(taken).average
        assert (theirs is None) == bool(np.isnan(mean[0]))
        if theirs is not None:
            means += 1
            assert float(theirs.systolic.value) == pytest.approx(mean[0], abs=1e-9)
            assert float(theirs.diastolic.value) == pytest.approx(mean[1], abs=1e-9)
    assert 5 < means < 58  # both kinds were seen


def test_nothing_measured_has_no_mean():
    nothing = averaged(np.full((3, 7, 2, 2, 2), np.nan))
    assert np.isnan(nothing.mean).all()
    assert nothing.count.tolist() == [0, 0, 0]


def test_high_readings_are_left_out_more_often_where_the_family_says_so():
    people = draw_people(1_000, usual_population(P), P, np.random.default_rng(5))
    for by_value, differs in ((0.0, False), (1.0, True)):
        p = P.changed({"missing_by_value": by_value})
        body = body_of(people, p, np.random.default_rng(6))
        full = home_week(body, np.random.default_rng(7), complete=True).readings
        some = measured(full, body, np.random.default_rng(8))
        gap = float(np.nanmean(full[..., 0]) - np.nanmean(some[..., 0]))
        assert (gap > 1.0) is differs
        assert abs(gap) < 0.2 or differs


# ---- the cohort


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(cohort):
    again, other = simulate(PLAN, P), simulate(replace(PLAN, seed=12), P)
    for name, column in cohort.columns.items():
        assert column.tobytes() == again.columns[name].tobytes(), name
    assert cohort.columns["systolic"].tobytes() != other.columns["systolic"].tobytes()


def test_every_column_has_a_unit_and_one_role_and_truth_is_apart(cohort):
    assert list(cohort.columns) == [*UNITS, *dose_columns()] == list(cohort.units)
    roles = {name: role_of(name) for name in cohort.columns}
    assert set(roles.values()) == set(Role)
    observed = [name for name, role in roles.items() if role is Role.OBSERVED]
    assert not [name for name in observed if "truth" in name or "next" in name]
    assert len(cohort.columns["person"]) == cohort.rows == PLAN.people * (PLAN.windows - 1)


def test_an_outcome_is_the_next_window_and_one_that_is_missing_stays_missing(cohort):
    now, then = by_window(cohort, "systolic"), by_window(cohort, "next_systolic")
    assert np.array_equal(now[:, 1:], then[:, :-1], equal_nan=True)
    assert 0 < cohort.censored() == int(np.isnan(then).sum()) < cohort.rows / 3


def test_one_step_is_taken_at_a_time_on_the_ladder(cohort):
    doses = np.stack([by_window(cohort, name) for name in dose_columns()], axis=-1)
    step, drug = by_window(cohort, "step"), by_window(cohort, "step_drug")
    codes = np.array([int(code) for code in pharmacy().ingredients])
    for window in range(PLAN.windows - 2):
        change = doses[:, window + 1] - doses[:, window]
        moved = np.abs(change) > 1e-9
        assert (moved.sum(axis=1) == (step[:, window] != Step.STAY)).all()
        assert ((change * moved).sum(axis=1)[step[:, window] == Step.DOWN] < 0).all()
        assert ((change * moved).sum(axis=1)[np.isin(step[:, window], (Step.UP, Step.START))] > 0).all()
        named = np.where(moved.any(axis=1), codes[moved.argmax(axis=1)], 0)
        assert (named == drug[:, window]).all()
    assert set(np.unique(step)) == set(Step)


def test_a_class_is_begun_once_and_in_the_order_of_the_site(cohort):
    first = {following.ingredient for following in rulebook().order}
    begun = cohort.columns["step_drug"][cohort.columns["step"] == Step.START]
    assert {str(code) for code in begun} <= first
    group, doses = pharmacy().group(), np.stack([cohort.columns[name] for name in dose_columns()], axis=1)
    for one in np.unique(group):
        assert ((doses[:, group == one] > 0).sum(axis=1) <= 1).all()


def test_the_chance_of_each_step_is_the_one_that_is_written_down():
    large = simulate(Plan(people=4_000, windows=2, seed=5), P)
    step, propensity = large.columns["step"], large.columns["propensity"]
    assert ((propensity > 0) & (propensity <= 1)).all()
    for kind in Step:
        # Horvitz-Thompson: where a step was open, 1 / propensity of those who took it counts all to whom it was open.
        counted = (1 / propensity[step == kind]).sum()
        assert counted <= 4_000 * 1.06
    assert (1 / propensity[step == Step.STAY]).sum() == pytest.approx(4_000, rel=0.05)


def test_a_step_has_the_effect_that_the_truth_column_says():
    still = dict.fromkeys(("drift_sd_year", "drift_year", "season_amplitude", "cough_share"), 0.0)
    taken = {"forget_rate": 0.0, "holiday_rate": 0.0, "persistence_year": 0.999, "oedema_double": 0.001}
    calm = P.changed(still | taken | {"slow_sd": 0.001})
    large = simulate(Plan(people=2_000, windows=2, seed=6), calm)
    c = large.columns
    fell = c["truth_systolic"] - c["truth_next_systolic"]
    started = c["step"] == Step.START
    assert float((fell[started] / c["truth_step_fall"][started].mean()).mean()) == pytest.approx(0.93, abs=0.05)
    assert abs(float(fell[c["step"] == Step.STAY].mean())) < 0.3


@pytest.mark.parametrize(
    ("people", "windows", "seed"), [(0, 5, 1), (10, 1, 1), (10, 5, -1), (10**7, 5, 1), (10, 999, 1)]
)
def test_a_cohort_that_makes_no_sense_is_refused_by_name(people, windows, seed):
    with pytest.raises(BadCohort, match=r"people|windows|seed"):
        Plan(people, windows, seed)
