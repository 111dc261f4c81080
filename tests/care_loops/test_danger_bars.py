"""The second net: no history with a dangerous reading in the last 14 days yields anything patient-facing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from care_loops.danger import Context, assess, bars, scopes
from care_loops.domain.alerts import Scope
from care_loops.domain.readings import Average, Flag, Implausible, Method, Reading, Status
from care_loops.domain.record import DrugClass, LabKind, Pregnancy, SymptomKind
from care_loops.domain.units import MmHg
from care_loops.pathways.hypertension.tables_danger import danger_table
from tests.care_loops.clinic import NO_DRUGS, NOW, PLAIN_FACTS, changed, days, lab, reading, symptom, taking

TABLE = danger_table()
BOTH = {Scope.PATIENT_FACING, Scope.UP_TITRATION}

ages = st.one_of(st.integers(-3 * 1440, 20 * 1440), st.sampled_from([14 * 1440, 14 * 1440 + 1, 0, 1440]))
systolics = st.one_of(st.none(), st.integers(60, 300), st.sampled_from([89, 90, 179, 180, 2047]))
diastolics = st.one_of(st.none(), st.integers(20, 180), st.sampled_from([59, 60, 119, 120, 2047]))
any_reading = st.builds(
    lambda age, s, d, method, flags, status, held: reading(
        s, d, at=NOW - timedelta(minutes=age), method=method, flags=flags, status=status, quarantined=held
    ),
    ages,
    systolics,
    diastolics,
    st.sampled_from(Method),
    st.sampled_from([(), (), (Flag.MOTION,), (Flag.POST_EXERCISE,), (Flag.CLOCK_UNCERTAIN,)]),
    st.sampled_from([Status.FINAL, Status.FINAL, Status.PRELIMINARY, Status.ENTERED_IN_ERROR]),
    st.sampled_from([None, None, *Implausible]),
)
calm_reading = st.builds(
    lambda age, s, d: reading(s, d, at=NOW - timedelta(minutes=age)), ages, st.integers(100, 179), st.integers(60, 99)
)
histories = st.lists(st.one_of(calm_reading, calm_reading, any_reading), max_size=8)


def context(readings: Sequence[Reading]) -> Context:
    return Context(facts=PLAIN_FACTS, regimen=NO_DRUGS, readings=tuple(readings))


def is_dangerous(one: Reading) -> bool:
    """CLINICAL 1.3, test: a value in the danger range within 14 days, however it was measured, unless void."""
    recent = Flag.CLOCK_UNCERTAIN in one.flags or NOW - one.taken_at <= timedelta(days=14)
    systolic = None if one.systolic is None or one.systolic.value == 2047 else one.systolic.value
    no_pair = one.systolic is not None and one.systolic.value == 2047
    diastolic = None if one.diastolic is None or no_pair or one.diastolic.value == 2047 else one.diastolic.value
    high = (systolic is not None and systolic >= 180) or (diastolic is not None and diastolic >= 120)
    low = (systolic is not None and systolic < 90) or (diastolic is not None and diastolic < 60)
    return recent and one.status is not Status.ENTERED_IN_ERROR and (high or low)


@settings(max_examples=300, deadline=None)
@given(histories)
def test_no_dangerous_reading_of_14_days_leaves_room_for_a_patient_facing_change(readings):
    if any(is_dangerous(r) for r in readings):
        assert scopes(bars(context(readings), now=NOW, table=TABLE)) >= BOTH


def test_the_histories_reach_danger_and_calm():
    seen: set[tuple[bool, bool]] = set()

    @settings(max_examples=300, deadline=None, database=None)
    @given(histories)
    def record(readings):
        barred = Scope.PATIENT_FACING in scopes(bars(context(readings), now=NOW, table=TABLE))
        seen.add((any(is_dangerous(r) for r in readings), barred))

    record()
    assert {(True, True), (False, False)} <= seen
    assert (True, False) not in seen


@settings(max_examples=100, deadline=None)
@given(st.lists(calm_reading, max_size=8))
def test_a_calm_history_bars_nothing(readings):
    assert bars(context(readings), now=NOW, table=TABLE) == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(any_reading, min_size=1, max_size=5))
def test_what_an_alert_barred_when_it_came_is_barred_as_long_as_it_is_in_the_window(readings):
    known = context(readings)
    standing = scopes(bars(known, now=NOW, table=TABLE))
    for one in readings:
        for finding in assess(one, known, received_at=NOW, table=TABLE):
            assert finding.bars <= standing


@settings(max_examples=60, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_the_readings_does_not_matter(readings, rng):
    shuffled = list(readings)
    rng.shuffle(shuffled)

    def barred(history: Sequence[Reading]) -> set[tuple[object, ...]]:
        return {(b.scope, b.rule, frozenset(b.evidence)) for b in bars(context(history), now=NOW, table=TABLE)}

    assert barred(shuffled) == barred(readings)


@pytest.mark.parametrize(("age", "barred"), [(days(14), True), (days(14) + timedelta(minutes=1), False)])
def test_a_bar_ends_with_the_window(age, barred):
    standing = scopes(bars(context([reading(185, 80, at=NOW - age)]), now=NOW, table=TABLE))
    assert (Scope.PATIENT_FACING in standing) is barred


def test_a_clock_nobody_can_trust_bars_whatever_it_shows():
    lost = reading(185, 80, at=NOW - days(20000), flags=(Flag.CLOCK_UNCERTAIN,))
    assert scopes(bars(context([lost]), now=NOW, table=TABLE)) >= BOTH


@pytest.mark.parametrize(("age", "barred"), [(days(14), True), (days(14) + timedelta(minutes=1), False)])
def test_a_clock_nobody_can_trust_bars_from_receipt_and_as_long_as_any(age, barred):
    for shown in (NOW, NOW - days(20000), NOW + days(20000)):
        lost = reading(185, 80, at=shown, flags=(Flag.CLOCK_UNCERTAIN,), received_at=NOW - age)
        assert (Scope.PATIENT_FACING in scopes(bars(context([lost]), now=NOW, table=TABLE))) is barred


def test_a_symptom_bars_until_a_clinician_has_dealt_with_it():
    told = symptom(SymptomKind.DIZZINESS, at=NOW - days(3))
    open_, dealt = (
        Context(facts=PLAIN_FACTS, regimen=NO_DRUGS, symptoms=(s,))
        for s in (told, type(told)(told.symptom_id, told.kind, told.reported_at, reviewed=True))
    )
    assert scopes(bars(open_, now=NOW, table=TABLE)) == BOTH
    assert bars(dealt, now=NOW, table=TABLE) == ()


def test_a_laboratory_result_bars():
    known = Context(facts=PLAIN_FACTS, regimen=taking(DrugClass.ARB), labs=(lab(LabKind.POTASSIUM, "5.6"),))
    assert scopes(bars(known, now=NOW, table=TABLE)) == BOTH
    risen = Context(
        facts=PLAIN_FACTS,
        regimen=taking(DrugClass.ARB),
        labs=(lab(LabKind.CREATININE, 80, at=NOW - days(40)), lab(LabKind.CREATININE, 110, at=NOW - days(2))),
        changes=(changed(DrugClass.ARB, at=NOW - days(30)),),
    )
    assert scopes(bars(risen, now=NOW, table=TABLE)) == BOTH


@pytest.mark.parametrize("state", [Pregnancy.PREGNANT, Pregnancy.POSTPARTUM])
def test_pregnancy_bars_everything(state):
    facts = type(PLAIN_FACTS)(30, PLAIN_FACTS.sex, state, (), ())
    assert scopes(bars(Context(facts=facts, regimen=NO_DRUGS), now=NOW, table=TABLE)) == set(Scope)


def test_a_low_mean_bars_increases():
    low = Average(MmHg.of(109), MmHg.of(70))
    assert scopes(bars(context([]), now=NOW, table=TABLE, average=low)) == BOTH


def test_a_slow_pulse_bars_what_slows_it_and_not_other_increases():
    standing = scopes(bars(context([reading(130, 80, pulse=45)]), now=NOW, table=TABLE))
    assert standing == {Scope.PATIENT_FACING, Scope.RATE_SLOWING}


def test_a_bar_names_rule_and_evidence():
    one = reading(185, 80)
    assert {(b.rule, b.evidence) for b in bars(context([one]), now=NOW, table=TABLE)} == {
        ("C1.systolic", (one.reading_id,))
    }
