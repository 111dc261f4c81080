"""Guardrails: one property over all of them, those not yet written included; then each by a table of cases.

A guardrail added to `GUARDRAILS` is tested here without a line being added. `test_a_planted_bad_guardrail_is_caught`
shows what the property catches.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from care_loops.domain.changes import STAY, Change, ChangeKind, Severity, Spoken
from care_loops.domain.record import AllowedDrug, Boundary, PastChange, SaidNo
from care_loops.domain.units import Milligrams
from care_loops.drugs import Drug
from care_loops.guardrails import (
    GUARDRAILS,
    GuardrailWidened,
    LimitEvidence,
    Limits,
    Narrowed,
    is_same_or_closer_to_nothing,
    narrow,
    reference_rows,
)
from care_loops.pathways.hypertension.tables_therapy import lab_rules, limits
from tests.care_loops.therapy_cases import FORMULARY, NAMES, NOW, days, lab, past, patient, takes, well

LIMITS = limits()


def boundary(**most: str) -> Boundary:
    drugs = tuple(
        AllowedDrug(NAMES[name][0], Milligrams.of(dose), products=(), allow_up=True) for name, dose in most.items()
    )
    return Boundary(
        boundary_id="b", version=1, drugs=drugs, max_steps=3, min_interval_days=28, signed_by="dr", signed_at=NOW,
        starts_at=NOW, expires_at=NOW + days(100), review_everything=False, by_prescriber=True, target_id="t",
    )  # fmt: skip


def evidence(situation, *, limits: Limits = LIMITS, order: Boundary | None = None) -> LimitEvidence:
    return LimitEvidence(situation, limits, FORMULARY, lab_rules(), order)


def increase(text: str) -> Change:
    """`lisinopril 10>20`, or `amlodipine >5` for a start."""
    name, doses = text.rsplit(" ", 1)
    old, new = (Milligrams.of(dose) if dose else None for dose in doses.split(">"))
    drug = FORMULARY.drug(NAMES[name][0])
    assert drug is not None
    return change_of(drug, old, new)


def change_of(drug: Drug, old: Milligrams | None, new: Milligrams | None) -> Change:
    rungs = [step.daily_dose for step in drug.steps]
    climbed = sum(1 for dose in rungs if old and new and old < dose <= new)
    kind = ChangeKind.START if old is None else ChangeKind.STEP_UP
    step = drug.step_at(new) if new else None
    return Change(
        kind=kind,
        ingredient=drug.ingredient,
        drug=drug.name,
        drug_class=drug.drug_class,
        old_daily_dose=old,
        new_daily_dose=new,
        steps=1 if old is None else max(1, climbed),
        product=step.product if step else None,
    )


# Any change of any drug, any history.

OLD_LABS = tuple(lab(kind, value, age=70) for kind, value in (("potassium", "4.2"), ("egfr", "85"), ("sodium", "140")))
drugs = st.sampled_from(FORMULARY.titrated)


@st.composite
def increases(draw: st.DrawFn) -> Change:
    """Starts and steps up, of one rung or several, on the ladder, past its end, or to a dose nobody wrote."""
    drug = draw(drugs)
    doses = [step.daily_dose for step in drug.steps]
    old = draw(st.sampled_from([None, *doses[:-1]]))
    higher = [dose for dose in doses if old is None or dose > old]
    over = Milligrams(drug.guideline_max.value * 2)
    change = change_of(drug, old, draw(st.sampled_from([*higher, *higher, over])))
    return draw(st.sampled_from([change, change, change, replace(change, new_daily_dose=None, product=None)]))


@st.composite
def reductions_and_the_like(draw: st.DrawFn) -> Change:
    """Steps down, stops, timings and staying."""
    drug = draw(drugs)
    old = draw(st.sampled_from(drug.steps)).daily_dose
    below = drug.step_below(old)
    kinds = [ChangeKind.STOP, ChangeKind.TIMING, *([ChangeKind.STEP_DOWN] if below else [])]
    kind = draw(st.sampled_from([*kinds, ChangeKind.STAY]))
    new = {ChangeKind.STEP_DOWN: below.daily_dose if below else None, ChangeKind.TIMING: old}.get(kind)
    change = replace(change_of(drug, old, new), kind=kind, steps=0 if kind is ChangeKind.TIMING else -1)
    return STAY if kind is ChangeKind.STAY else change


@st.composite
def evidences(draw: st.DrawFn) -> LimitEvidence:
    """Histories of changes, some in the future, with labs fresh or old, with and without a signed order."""
    taken = draw(st.lists(drugs, max_size=3, unique=True))
    ago = st.sampled_from([-1, 0, 5, 13, 14, 20, 28, 29, 60, 89, 90, 200])
    history = [
        PastChange(drug.ingredient, drug.drug_class, NOW - days(draw(ago)), draw(st.sampled_from([-1, 1, 1, 2])))
        for drug in taken
    ]
    situation = well(*(takes(drug.name, str(drug.steps[0].daily_dose.value)) for drug in taken))
    labs = draw(st.sampled_from([situation.labs, OLD_LABS, ()]))
    order = draw(st.sampled_from([None, boundary(lisinopril="10", amlodipine="5")]))
    said_no = [
        SaidNo(step.ingredient, rung.daily_dose, NOW - days(draw(ago)))
        for step in draw(st.lists(drugs, max_size=2, unique=True))
        for rung in step.steps
    ]
    looked_at = replace(situation, past_changes=tuple(history), labs=labs, said_no=tuple(said_no))
    return evidence(looked_at, order=order)


@pytest.mark.parametrize("guardrail", GUARDRAILS, ids=lambda guardrail: guardrail.__name__)
@given(change=increases(), looked_at=evidences())
def test_every_guardrail_only_brings_an_increase_closer_to_nothing(guardrail, change, looked_at):
    narrowed = guardrail(change, looked_at)
    assert is_same_or_closer_to_nothing(narrowed.change, change)
    said = narrowed.spoken is not None and narrowed.spoken.severity is Severity.HARD_STOP
    assert said == (narrowed.change != change)


@pytest.mark.parametrize("guardrail", GUARDRAILS, ids=lambda guardrail: guardrail.__name__)
@given(change=reductions_and_the_like(), looked_at=evidences())
def test_no_guardrail_touches_a_reduction_or_a_stop(guardrail, change, looked_at):
    assert guardrail(change, looked_at) == Narrowed(change)


@given(change=increases(), looked_at=evidences())
def test_all_of_them_together_only_narrow_and_say_so(change, looked_at):
    narrowed, spoken = narrow(change, looked_at)
    assert is_same_or_closer_to_nothing(narrowed, change)
    assert (narrowed != change) == any(said.severity is Severity.HARD_STOP for said in spoken)
    drug = FORMULARY.drug(change.ingredient)
    assert drug is not None
    assert narrowed.new_daily_dose is None or narrowed.new_daily_dose <= drug.guideline_max
    assert narrowed.steps <= 1


@given(change=increases(), looked_at=evidences())
def test_narrowing_twice_is_narrowing_once(change, looked_at):
    once, _ = narrow(change, looked_at)
    assert narrow(once, looked_at)[0] == once


@given(change=reductions_and_the_like(), looked_at=evidences())
def test_together_they_let_every_reduction_and_stop_pass_without_a_word(change, looked_at):
    assert narrow(change, looked_at) == (change, ())


def test_the_strategies_reach_every_guardrail_refusing_or_warning():
    seen: set[tuple[str, str]] = set()

    @seed(20261122)
    @settings(max_examples=1500, database=None)
    @given(increases(), evidences())
    def record(change, looked_at):
        for guardrail in GUARDRAILS:
            narrowed = guardrail(change, looked_at)
            outcome = "same" if narrowed.change == change else "stay" if narrowed.change == STAY else "shorter"
            if narrowed.spoken:
                seen.add((guardrail.__name__, f"{outcome} {narrowed.spoken.severity.value}"))

    record()
    assert seen == {
        ("one_step", "shorter hard_stop"),
        ("one_step", "stay hard_stop"),
        ("guideline_maximum", "stay hard_stop"),
        ("interval", "stay hard_stop"),
        ("interval", "same warning"),
        ("steps_in_period", "stay hard_stop"),
        ("steps_in_period", "shorter hard_stop"),
        ("steps_in_period", "same warning"),
        ("labs_overdue", "stay hard_stop"),
        ("signed_order", "same warning"),
        ("asked_before", "stay hard_stop"),
    } | (seen & {("one_step", "stay hard_stop")})


# Bad guardrails, planted: each breaks the property in one way, and none gets past `narrow`.

SAID = Spoken("bad", Severity.HARD_STOP, "bad", "none")
UP = increase("lisinopril 10>20")


def _larger(change: Change, _: LimitEvidence) -> Narrowed:
    return Narrowed(replace(change, new_daily_dose=Milligrams.of(40), steps=2), SAID)


def _another_drug(change: Change, _: LimitEvidence) -> Narrowed:
    return Narrowed(replace(change, ingredient="17767", drug="amlodipine"), SAID)


def _another_kind(change: Change, _: LimitEvidence) -> Narrowed:
    return Narrowed(replace(change, kind=ChangeKind.START), SAID)


def _below_the_old_dose(change: Change, _: LimitEvidence) -> Narrowed:
    return Narrowed(replace(change, new_daily_dose=Milligrams.of(5)), SAID)


def _without_a_word(_change: Change, _: LimitEvidence) -> Narrowed:
    return Narrowed(STAY)


def _only_warning(_change: Change, _: LimitEvidence) -> Narrowed:
    return Narrowed(STAY, replace(SAID, severity=Severity.WARNING))


def _holds_back_a_stop(change: Change, _: LimitEvidence) -> Narrowed:
    return Narrowed(STAY, SAID) if change.reduces else Narrowed(change)


STOP = replace(UP, kind=ChangeKind.STOP, new_daily_dose=None, steps=-1)


@pytest.mark.parametrize(
    ("bad", "change"),
    [
        (_larger, UP),
        (_another_drug, UP),
        (_another_kind, UP),
        (_below_the_old_dose, UP),
        (_without_a_word, UP),
        (_only_warning, UP),
        (_holds_back_a_stop, STOP),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_bad_guardrail_is_caught(bad, change):
    looked_at = evidence(well())
    answer = bad(change, looked_at)
    silent = answer.spoken is None or answer.spoken.severity is not Severity.HARD_STOP
    assert not is_same_or_closer_to_nothing(answer.change, change) or silent
    with pytest.raises(GuardrailWidened):
        narrow(change, looked_at, (*GUARDRAILS, bad))


# Each by cases: change | patient | what is left of it (mg a day, "stay") | who spoke

CASES = """
lisinopril 10>20 |                                            | 20   |
lisinopril 10>40 |                                            | 20   | one_step hard_stop
lisinopril 10>80 |                                            | 20   | one_step hard_stop
lisinopril 40>80 |                                            | stay | guideline_maximum hard_stop
amlodipine >5    |                                            | 5    |
lisinopril 10>20 | changed=amlodipine@13                      | stay | interval hard_stop
lisinopril 10>20 | changed=amlodipine@14                      | 20   | interval warning
lisinopril 10>20 | changed=amlodipine@27                      | 20   | interval warning
lisinopril 10>20 | changed=amlodipine@28                      | 20   |
lisinopril 10>20 | changed=amlodipine@-3                      | stay | interval hard_stop
lisinopril 10>20 | changed=amlodipine@30 changed=losartan@60  | 20   | steps_in_period warning
lisinopril 10>20 | changed=amlodipine@30 changed=amlodipine@60 changed=losartan@89.5 | stay | steps_in_period hard_stop
lisinopril 10>20 | changed=amlodipine@30 changed=amlodipine@60 changed=losartan@90.5 | 20   | steps_in_period warning
lisinopril 10>20 | changed=amlodipine@30 changed=amlodipine@90.5                     | 20   |
lisinopril 10>20 | changed=amlodipine@30 changed=amlodipine@89.5                     | 20   | steps_in_period warning
lisinopril 10>20 | with=indapamide:2.5 changed=indapamide@29 old-labs | stay | labs_overdue hard_stop
lisinopril 10>20 | with=indapamide:2.5 changed=indapamide@28.9 old-labs | 20 |
amlodipine 5>10  | with=indapamide:2.5 changed=indapamide@29 old-labs | 10   |
lisinopril 10>20 | said-no=lisinopril:20@27.5 | stay | asked_before hard_stop
lisinopril 10>20 | said-no=lisinopril:20@28.5 | 20   |
lisinopril 10>20 | said-no=lisinopril:40@3    | 20   |
lisinopril 10>20 | said-no=amlodipine:20@3    | 20   |
"""
LINES = [[cell.strip() for cell in line.split("|")] for line in CASES.strip().splitlines()]


def seen(who: str):
    """`old-labs`: the newest results are from 40 days ago."""
    return patient(who.replace("old-labs", "potassium=4.2@40 egfr=85@40 creatinine=80@40"))


def outcome(change: str, who: str, numbers: Limits = LIMITS) -> tuple[str, str]:
    narrowed, spoken = narrow(increase(change), evidence(seen(who), limits=numbers))
    left = "stay" if narrowed == STAY else str(narrowed.new_daily_dose.value)
    return left, " ".join(f"{said.rule} {said.severity.value}" for said in spoken)


@pytest.mark.parametrize(("change", "who", "left", "said"), LINES, ids=[f"{line[0]} {line[1]}"[:60] for line in LINES])
def test_what_is_left_of_an_increase(change, who, left, said):
    assert outcome(change, who) == (left, said)


NUMBERED = [(row.row_id, name) for row in LIMITS.rows for name in ("absolute", "recommended") if getattr(row, name)]


@pytest.mark.parametrize("delta", [-1, 1])
@pytest.mark.parametrize(("row_id", "name"), NUMBERED, ids=[f"{a}-{b}" for a, b in NUMBERED])
def test_moving_any_number_by_one_breaks_a_case(row_id, name, delta):
    rows = tuple(
        replace(row, **{name: getattr(row, name) + delta}) if row.row_id == row_id else row for row in LIMITS.rows
    )
    assert any(outcome(change, who, Limits(rows)) != (left, said) for change, who, left, said in LINES)


@pytest.mark.parametrize("gone", GUARDRAILS, ids=lambda guardrail: guardrail.__name__)
def test_removing_any_guardrail_breaks_a_case(gone):
    kept = tuple(guardrail for guardrail in GUARDRAILS if guardrail is not gone)
    looked_at = [(increase(c), evidence(seen(who), order=boundary(lisinopril="10"))) for c, who, _, _ in LINES]
    assert any(narrow(change, e, kept) != narrow(change, e) for change, e in looked_at)


@pytest.mark.parametrize(("most", "spoke"), [("20", ()), ("19", ("signed_order",))])
def test_above_the_signed_order_a_warning_is_given(most, spoke):
    _, spoken = narrow(UP, evidence(well(), order=boundary(lisinopril=most)))
    assert tuple(said.rule for said in spoken) == spoke


def test_cumulative_bounds_hold_over_a_run_of_recommendations():
    """Always saying yes for a year: never faster than the interval, never more than the steps of a period."""
    situation = well(takes("amlodipine", "2.5"), takes("losartan", "25"), takes("bisoprolol", "2.5"))
    taken_effect: list[PastChange] = []
    for day in range(365):
        now = NOW + days(day)
        fresh = tuple(replace(one, taken_at=now) for one in situation.labs)
        today = replace(situation, as_of=now, past_changes=tuple(taken_effect), labs=fresh)
        narrowed, _ = narrow(increase("lisinopril 5>10"), evidence(today))
        if narrowed.intensifies:
            taken_effect.append(replace(past("losartan", ago=0), effective_at=now))
    assert len(taken_effect) > 3
    for first, second in pairwise(taken_effect):
        assert second.effective_at - first.effective_at >= timedelta(days=14)
    for i in range(len(taken_effect) - 3):
        assert taken_effect[i + 3].effective_at - taken_effect[i].effective_at >= timedelta(days=90)


def test_a_reduction_gives_no_step_back():
    history = [past("amlodipine", ago=80), past("amlodipine", ago=60), past("losartan", ago=40, steps=1)]
    situation = replace(well(), past_changes=(*history, past("losartan", ago=20, steps=-1)))
    assert narrow(UP, evidence(situation))[0] == STAY


def test_every_guardrail_has_its_row_and_the_reference_shows_it():
    head, *rows = reference_rows(LIMITS)
    assert {row[0] for row in rows} >= {guardrail.__name__ for guardrail in GUARDRAILS}
    assert all(len(row) == len(head) for row in rows)
    assert LIMITS.row("interval").absolute == Decimal(14)
