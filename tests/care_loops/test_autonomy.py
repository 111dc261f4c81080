"""Autonomy is earned by a signed gate over what is measured here, and lost by a rule; the loops keep to it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.models import Loop
from care_loops.policies import NotNow
from care_loops.selectors.autonomy import ACTIONS, kind_of, levels_now, measured
from care_loops.services import Answer, DecisionInput, decide, replay, respond
from care_loops.services.autonomy import COHORTS, ask_level, lower_by_rules, sign_level
from care_loops.tasks import lower_autonomy
from governance.autonomy import GateNotMet, Level, ModelKind
from governance.domain import BadInput, NotAllowed, Role
from governance.models import AutonomyStep
from governance.selectors.autonomy import Cell, earned, earned_in, gates_waiting
from governance.services.autonomy import GateOver, lower, record_measurement
from governance.services.suspensions import throw_switch
from governance.suspension import EVERYTHING
from models.registry.models import ModelVersion
from tests.care_loops.standing import commits, hospital, refused, site, sql  # noqa: F401
from tests.factories import LISINOPRIL, NOW, job

LATER = NOW + timedelta(hours=1)
HIGH = [(150, 92)] * 5
COHORT = "age_under_65"


def served() -> ModelVersion:
    return ModelVersion.objects.get(active=True)


def cell(action="step_up", cohort=COHORT) -> Cell:
    return Cell(served().digest, cohort, action)


def brought_down(level: Level, action="step_up") -> None:
    lower(cell(action), level, rule="a test", by=job(), now=NOW)


@pytest.mark.parametrize(
    ("level", "state", "tier"),
    [
        (Level.WITHIN_BOUNDARY, "with_patient", "patient_may_act"),
        (Level.APPROVE_EACH, "with_clinician", "clinician_approves"),
        (Level.SUGGEST, "with_clinician", "clinician_decides"),
        (Level.OBSERVE, "withheld", "withheld"),
    ],
    ids=lambda value: getattr(value, "value", None),
)
def test_the_level_limits_who_may_act(hospital, level, state, tier):  # noqa: F811
    patient = hospital.patient()
    hospital.mode(patient_directed=True)
    hospital.boundary(patient)
    hospital.weeks(patient, *HIGH)
    brought_down(level)
    loop = hospital.close(patient)
    assert (loop.state, loop.tier) == (state, tier)
    assert loop.withheld_reason == ("model_observes_only" if level is Level.OBSERVE else "")
    assert loop.cohort == COHORT
    assert replay(loop.pk).identical
    commits()


def test_another_action_and_another_cohort_have_ladders_of_their_own(hospital):  # noqa: F811
    brought_down(Level.OBSERVE, "stop")
    lower(cell(cohort="age_80_and_over"), Level.OBSERVE, rule="a test", by=job(), now=NOW)
    held = {one.action: one.level for one in levels_now(served(), [COHORT], now=NOW)}
    assert held == {action: "observe" if action == "stop" else "within_boundary" for action in ACTIONS}


def test_a_version_nobody_signed_for_observes(hospital):  # noqa: F811
    other = ModelVersion.objects.exclude(active=True).first()
    assert {one.level for one in levels_now(other, [COHORT], now=NOW)} == {"observe"}


def test_what_is_with_the_patient_is_not_accepted_once_the_level_has_gone_down(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    brought_down(Level.APPROVE_EACH)
    with pytest.raises(NotNow):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)


# --- raising ----------------------------------------------------------------------------------------------------------


def asked(hospital, by="clinician", level=Level.WITHIN_BOUNDARY, **more):  # noqa: F811
    said = {"cohorts": [COHORT], "actions": ["step_up"]} | more
    return ask_level(served().pk, level, by=hospital.acting(by), now=NOW, **said)


def test_a_gate_raises_with_the_second_signature_of_another_role(hospital):  # noqa: F811
    brought_down(Level.OBSERVE)
    gate = asked(hospital)
    assert earned(cell()) is Level.OBSERVE
    assert [one.pk for one in gates_waiting()] == [gate.pk]
    for who in ("clinician", "other_clinician"):
        with pytest.raises(NotAllowed):
            sign_level(gate.pk, by=hospital.acting(who), now=NOW)
    sign_level(gate.pk, by=hospital.acting("pharmacist"), now=NOW)
    commits()
    assert earned(cell()) is Level.WITHIN_BOUNDARY
    hospital.join("lead", Role.RESPONSIBLE_AI_LEAD, now=NOW)
    with pytest.raises(GateOver):
        sign_level(gate.pk, by=hospital.acting("lead"), now=NOW)


def test_a_gate_is_used_once(hospital):  # noqa: F811
    brought_down(Level.OBSERVE)
    gate = asked(hospital)
    sign_level(gate.pk, by=hospital.acting("pharmacist"), now=NOW)
    brought_down(Level.OBSERVE)
    last = AutonomyStep.objects.filter(digest=cell().digest, cohort=COHORT, action="step_up").order_by("-seq").first()
    with refused("no entry of this very act|autonomy_gate_once"):
        sql(STEP, last.seq + 1, gate.pk, "", COHORT)
    assert earned(cell()) is Level.OBSERVE


def test_what_was_measured_may_change_between_the_signatures(hospital):  # noqa: F811
    brought_down(Level.APPROVE_EACH)
    gate = asked(hospital)
    for number in range(25):
        overridden(hospital, number)
    with pytest.raises(GateNotMet):
        sign_level(gate.pk, by=hospital.acting("pharmacist"), now=NOW)
    assert earned(cell()) is Level.APPROVE_EACH


@pytest.mark.parametrize("name", ["engineer", "admin"])
def test_who_may_not_asks_for_nothing(hospital, name):  # noqa: F811
    with pytest.raises(NotAllowed):
        asked(hospital, by=name)


def test_no_job_asks_signs_or_raises(hospital):  # noqa: F811
    brought_down(Level.OBSERVE)
    gate = asked(hospital)
    with pytest.raises(NotAllowed):
        ask_level(served().pk, Level.SUGGEST, cohorts=[COHORT], actions=["step_up"], by=job(), now=NOW)
    with pytest.raises(NotAllowed):
        sign_level(gate.pk, by=job(), now=NOW)
    assert lower(cell(), Level.WITHIN_BOUNDARY, rule="up", by=job(), now=NOW) is None


@pytest.mark.parametrize(
    "more",
    [{"cohorts": []}, {"actions": []}, {"cohorts": ["all"]}, {"actions": ["stay"]}, {"level": Level.OBSERVE}],
    ids=str,
)
def test_a_gate_names_what_there_is(hospital, more):  # noqa: F811
    with pytest.raises(BadInput):
        asked(hospital, **more)


SIGNED = """INSERT INTO governance_gatesignature (id, gate_id, signer_id, role, signed_at, signature_id, entry)
SELECT gen_random_uuid(), gate_id, %s, 'pharmacist', signed_at, signature_id, entry
FROM governance_gatesignature WHERE gate_id = %s"""
STEP = """INSERT INTO governance_autonomystep (id, digest, cohort, action, seq, before, level, gate_id, rule, at, entry)
SELECT gen_random_uuid(), digest, cohort, action, %s, level, 'within_boundary', %s, %s, at, entry
FROM governance_autonomystep WHERE action = 'step_up' AND cohort = %s ORDER BY seq DESC LIMIT 1"""


def test_sql_raises_nothing(hospital):  # noqa: F811
    brought_down(Level.OBSERVE)
    gate = asked(hospital)
    last = AutonomyStep.objects.filter(digest=cell().digest, cohort=COHORT, action="step_up").order_by("-seq").first()
    for values in ((last.seq + 1, None, "up"), (last.seq + 1, gate.pk, "")):
        with refused("no entry of this very act|nothing but a gate"):
            sql(STEP, *values, COHORT)
    for statement in (
        "UPDATE governance_autonomystep SET level = 'within_boundary'",
        "DELETE FROM governance_autonomystep",
    ):
        with refused("permission denied"):
            sql(statement)
    with pytest.raises(DatabaseError), transaction.atomic():
        AutonomyStep.objects.filter(pk=last.pk).update(level="within_boundary")
    with refused("no entry of this very act|signed"):
        sql(SIGNED, hospital.people["pharmacist"].pk, gate.pk)
    assert earned(cell()) is Level.OBSERVE


# --- lowering ---------------------------------------------------------------------------------------------------------


def overridden(hospital, number) -> Loop:  # noqa: F811
    """A proposal that a clinician rejected."""
    patient = hospital.patient(f"overridden{number}")
    hospital.weeks(patient, *HIGH)
    loop = hospital.close(patient)
    chosen = DecisionInput(DecisionKind.REJECT, "side_effect", "", loop.version)
    decide(loop.pk, chosen, by=hospital.acting("clinician"), now=NOW)
    return loop


def test_a_surge_of_overrides_lowers_by_the_clock_and_stays_lowered(hospital):  # noqa: F811
    brought_down(Level.APPROVE_EACH)
    hospital.earns(Level.WITHIN_BOUNDARY)
    for number in range(20):
        overridden(hospital, number)
    known = measured(served(), COHORT, now=LATER)["step_up"]
    assert (known.decided, known.override_surge) == (20, True)
    assert lower_by_rules(by=job(), now=LATER) == 1
    step = earned_in(served().digest, COHORT)[cell()]
    assert (step.level, step.rule, step.by) == ("approve_each", "override_surge", None)
    assert lower_by_rules(by=job(), now=LATER) == 0
    with pytest.raises(GateNotMet):
        asked(hospital)
    commits()


def test_at_the_next_proposal_without_waiting_for_the_clock(hospital):  # noqa: F811
    record_measurement(served().digest, COHORT, "drift", Decimal("0.4"), by=job("monitor"), now=NOW)
    held = levels_now(served(), [COHORT], now=LATER)
    assert {(one.level, one.reasons) for one in held} == {("suggest", ("drift",))}
    assert {one.level for one in levels_now(served(), ["age_65_to_79"], now=LATER)} == {"within_boundary"}


@pytest.mark.parametrize(
    ("fact", "value", "days"),
    [("drift", "0.4", 0), ("calibration_error", "0.2", 0), (None, None, 400)],
    ids=["drift", "calibration", "stale"],
)
def test_drift_lost_calibration_and_a_stale_review_lower(hospital, fact, value, days):  # noqa: F811
    at = NOW + timedelta(days=days)
    if fact:
        record_measurement(served().digest, COHORT, fact, Decimal(value), by=job("monitor"), now=at)
    assert lower_by_rules(by=job(), now=at) >= len(ACTIONS)
    assert earned(cell()).rank < Level.WITHIN_BOUNDARY.rank


def test_the_kill_switch_lowers_everything_and_its_end_raises_nothing(hospital):  # noqa: F811
    throw_switch(EVERYTHING, reason="a drill", by=hospital.acting("clinician"), now=NOW)
    assert lower_autonomy() == len(ACTIONS) * len(COHORTS)
    assert {step.level for step in earned_in(served().digest).values()} == {"observe"}


def test_a_model_measures_nothing_of_itself(hospital):  # noqa: F811
    from audit.domain import Model
    from governance.domain import Standing
    from governance.services import Acting

    with pytest.raises(NotAllowed):
        record_measurement(
            "d", COHORT, "drift", Decimal(0), by=Acting(Model("m", "1"), Standing("", frozenset())), now=NOW
        )
    for fact, value in (("mood", "0"), ("drift", "-1"), ("drift", "NaN")):
        with pytest.raises(BadInput):
            record_measurement("d", COHORT, fact, Decimal(value), by=job(), now=NOW)


def test_a_protocol_is_known_by_its_bytes(hospital):  # noqa: F811
    assert kind_of(served()) is ModelKind.PROTOCOL
    assert kind_of(ModelVersion(name=served().name, digest="0" * 64)) is ModelKind.LEARNED
    assert LISINOPRIL
