"""What is suspended proposes nothing, is not delivered, lets no patient act, on any path; dangers and orders go on.

FAL-03, REGULATORY 2.3 Art. 14(4)(e); PEERS 0 item 2: every control is tried on every path.
"""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, transaction

from audit.domain import Device, Model
from audit.selectors import payload_of
from care_loops.domain.evidence import Evidence
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.freeze import thaw
from care_loops.models import Alert, Loop, Message
from care_loops.pathways.hypertension.tables_cohorts import cohorts, cohorts_of
from care_loops.presenters.phone import proposal
from care_loops.selectors.phone import holds_on
from care_loops.services import (
    Answer,
    DecisionInput,
    OrderInput,
    decide,
    deliver,
    recall,
    reevaluate_open,
    replay,
    respond,
    write_order,
)
from care_loops.services.known_devices import know_device
from care_loops.services.respond import tell_proposed
from care_loops.tasks import close_window as close_window_task
from governance.domain import BadInput, NotAllowed, NotFound, Permission, Role, Standing
from governance.models import Suspension, SuspensionEnd
from governance.permissions import TABLE
from governance.selectors.suspensions import kill_switch_thrown, standing
from governance.services import Acting, acting_job
from governance.services.suspensions import SecondNeeded, ask_end, end_suspension, suspend, throw_switch
from governance.suspension import EVERYTHING, Cause, Ref, Scope, Suspended, ref_of
from models.registry.models import ModelVersion
from models.registry.services import activate, approve
from tests.care_loops.standing import commits, hospital, refused, site, sql  # noqa: F401
from tests.factories import LISINOPRIL, NOW, job

LATER = NOW + timedelta(hours=1)
HIGH = [(150, 92)] * 5
STATES = [LoopState.WITH_PATIENT, LoopState.WITH_CLINICIAN, LoopState.APPROVED, LoopState.DELIVERED]


def thrown(hospital, ref=EVERYTHING, *, by="clinician"):  # noqa: F811
    commits()  # what stood before it was thrown had been committed
    return thrown_at_once(hospital, ref, by=by)


def thrown_at_once(hospital, ref=EVERYTHING, *, by="clinician"):  # noqa: F811
    return throw_switch(ref, reason="a drill", by=hospital.acting(by, now=LATER), now=LATER)


def ended(hospital, row):  # noqa: F811
    """By two others with different roles."""
    hospital.join("lead", Role.RESPONSIBLE_AI_LEAD, now=NOW)
    hospital.join("officer", Role.COMPLIANCE_OFFICER, now=NOW)
    ask_end(row.pk, reason="it is over", by=hospital.acting("lead", now=LATER), now=LATER)
    return end_suspension(row.pk, reason="it is over", by=hospital.acting("officer", now=LATER), now=LATER)


def touched_by(loop: Loop) -> dict[Scope, Ref]:
    """Everything whose suspension touches this recommendation, one of each kind."""
    return {
        Scope.EVERYTHING: EVERYTHING,
        Scope.PATHWAY: Ref(Scope.PATHWAY, "hypertension"),
        Scope.MODEL: Ref(Scope.MODEL, f"{loop.model_name}@{loop.model_version}"),
        Scope.BOUNDARY: Ref(Scope.BOUNDARY, str(loop.boundary_id)),
        Scope.DEVICE_TYPE: Ref(Scope.DEVICE_TYPE, "Cuff Model One"),
        Scope.COHORT: Ref(Scope.COHORT, "age_under_65"),
    }


def with_patient(hospital) -> Loop:  # noqa: F811
    """A change with the patient, measured by cuffs whose type is known."""
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    devices = {reading.device_id for reading in thaw(loop.evidence, Evidence).readings}
    assert devices - {None}, "the readings name what measured them"
    for device in devices - {None}:
        know_device(device, "Cuff Model One", entry=loop.entry)
    return loop


# --- every scope, every path ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", list(Scope), ids=lambda s: s.value)
def test_the_patients_yes_is_refused_by_name_whatever_of_it_is_suspended(hospital, scope):  # noqa: F811
    loop = with_patient(hospital)
    thrown(hospital, touched_by(loop)[scope])
    with pytest.raises(Suspended) as refusal:
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
    assert refusal.value.extra["suspensions"][0]["scope"] == scope.value
    assert proposal(loop, holds_on(loop.patient), LATER)["waits_for_you"] is False


@pytest.mark.parametrize("scope", list(Scope), ids=lambda s: s.value)
def test_something_else_of_that_kind_that_is_suspended_touches_nothing(hospital, scope):  # noqa: F811
    loop = with_patient(hospital)
    if scope is Scope.EVERYTHING:
        ended(hospital, thrown(hospital))
    else:
        other = str(uuid4()) if scope is Scope.BOUNDARY else "something else"
        thrown(hospital, Ref(scope, other))
    respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
    commits()


def test_nothing_is_proposed_and_why_is_kept_and_replays(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.weeks(patient, *HIGH)
    row = thrown(hospital)
    loop = hospital.close(patient, now=LATER)
    assert (loop.state, loop.withheld_reason) == ("withheld", "suspended")
    assert str(row.pk) in loop.evidence
    assert replay(loop.pk).identical
    commits()


def test_nor_by_the_worker_s_task_with_an_identifier_forged_or_true(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.weeks(patient, *HIGH)
    thrown(hospital)
    close_window_task(str(patient.pk))
    assert set(Loop.objects.filter(patient=patient).values_list("state", flat=True)) <= {"withheld"}


def test_what_waits_is_withdrawn_by_name_at_the_next_look(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    thrown(hospital)
    assert reevaluate_open(loop.patient_id, by=job(), now=LATER) == 1
    last = loop.steps.order_by("seq").last()
    assert (last.state, last.reason_code) == ("withdrawn", "now_suspended")
    commits()


@pytest.mark.parametrize("kind", [DecisionKind.APPROVE, DecisionKind.MODIFY], ids=lambda k: k.value)
def test_a_clinician_neither_approves_nor_modifies_it(hospital, kind):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    thrown(hospital)
    key = None if kind is DecisionKind.APPROVE else f"stop:{LISINOPRIL}"
    chosen = DecisionInput(kind, "patient_preference", "", loop.version, key)
    with pytest.raises(Suspended):
        decide(loop.pk, chosen, by=hospital.acting("clinician", now=LATER), now=LATER)


def test_but_rejects_it_and_writes_an_order_of_their_own_which_reaches_the_patient(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    thrown(hospital)
    clinician = hospital.acting("clinician", now=LATER)
    decide(loop.pk, DecisionInput(DecisionKind.REJECT, "side_effect", "", loop.version), by=clinician, now=LATER)
    order = write_order(loop.patient_id, OrderInput(f"stop:{LISINOPRIL}", "side_effect", ""), by=clinician, now=LATER)
    assert deliver(order.pk, by=job("relay"), now=LATER) is not None
    respond(order.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
    commits()


def test_an_approved_change_is_not_delivered_and_can_be_recalled(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.APPROVED)
    thrown(hospital)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
    assert not Message.objects.filter(loop=loop).exists()
    recall(loop.pk, reason_code="side_effect", free_text="", by=hospital.acting("clinician", now=LATER), now=LATER)
    commits()


def test_a_change_within_the_boundary_is_not_told(hospital):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    before = Message.objects.filter(loop=loop).count()
    thrown(hospital)
    tell_proposed(loop.pk, by=job("relay"), now=LATER)
    assert Message.objects.filter(loop=loop).count() == before


@pytest.mark.parametrize("answer", [Answer.DECLINE, Answer.ASK_PERSON], ids=lambda a: a.value)
def test_the_patient_may_always_decline_and_ask_a_person(hospital, answer):  # noqa: F811
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    thrown(hospital)
    respond(loop.pk, answer, reason_code="rather_not", by=hospital.own(loop.patient, now=LATER), now=LATER)
    commits()


def test_danger_rules_go_on_and_raise_their_alert(hospital):  # noqa: F811
    patient = hospital.patient()
    thrown(hospital)
    hospital.measures(patient, 190, 125, at=LATER)
    assert Alert.objects.filter(patient=patient, locks=True).exists()
    commits()


def test_no_model_is_released_meanwhile(hospital):  # noqa: F811
    version = ModelVersion.objects.exclude(active=True).first()
    thrown(hospital)
    for name in ("clinician", "pharmacist"):
        approve(version, by=hospital.acting(name, now=LATER), now=LATER)
    with pytest.raises(Suspended):
        activate(version, by=hospital.acting("clinician", now=LATER), now=LATER)


# --- by SQL, as the application's own role ----------------------------------------------------------------------------


@pytest.mark.parametrize("scope", list(Scope), ids=lambda s: s.value)
def test_the_database_refuses_at_commit_a_delivery_that_overtook_the_switch(hospital, scope):  # noqa: F811
    """The service looked before the switch was thrown; its transaction commits after."""
    loop = with_patient(hospital)
    commits()
    with refused("rests on what is suspended"):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
        thrown_at_once(hospital, touched_by(loop)[scope])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_suspension SET reason = 'nothing'",
        "DELETE FROM governance_suspension",
        "TRUNCATE governance_suspension CASCADE",
        "UPDATE governance_suspension SET scope = 'cohort', name = 'nobody'",
    ],
    ids=["rewritten", "deleted", "truncated", "pointed elsewhere"],
)
def test_a_suspension_is_not_taken_back_by_sql(hospital, statement):  # noqa: F811
    thrown(hospital)
    with refused("permission denied|only grows|refuse"):
        sql(statement)


def test_nor_by_the_bulk_of_the_orm(hospital):  # noqa: F811
    row = thrown(hospital)
    with refused("permission denied"):
        Suspension.objects.filter(pk=row.pk).update(scope="cohort", name="nobody")
    with refused("permission denied"):
        Suspension.objects.all().delete()
    words = "no entry of this very act|is not signed|not ended by"
    with pytest.raises(DatabaseError, match=words), transaction.atomic():
        SuspensionEnd.objects.bulk_create([forged_end(hospital, row)])
    assert kill_switch_thrown()


def forged_end(hospital, row, **changed):  # noqa: F811
    """An end made up from a signature and an entry that belong to something else."""
    target = sql("SELECT signature_id, entry FROM care_loops_target LIMIT 1") or sql(
        "SELECT signature_id, entry FROM governance_policyversion WHERE signature_id IS NOT NULL LIMIT 1"
    )
    signature, entry = target[0]
    said = {"suspension": row, "began_by": row.began_by, "ended_by": hospital.people["pharmacist"]} | changed
    return SuspensionEnd(role="clinician", reason="x", ended_at=LATER, signature_id=signature, entry=entry, **said)


def test_who_began_it_cannot_be_written_out_of_its_end(hospital):  # noqa: F811
    row = thrown(hospital)
    for changed in (
        {"began_by": None, "ended_by": hospital.people["clinician"]},
        {"ended_by": hospital.people["clinician"]},
    ):
        with refused("no entry of this very act|ended_by_another|not ended by"):
            forged_end(hospital, row, **changed).save(force_insert=True)


# --- who throws, who ends ---------------------------------------------------------------------------------------------

AI = [
    Acting(Model("m", "1"), Standing("", frozenset())),
    Acting(Device("cuff-1"), Standing("", frozenset())),
    acting_job("relay", "run"),
]


@pytest.mark.parametrize("actor", AI, ids=["model", "device", "job"])
def test_no_model_device_or_job_touches_the_switch(hospital, actor):  # noqa: F811
    row = thrown(hospital)
    for act in (
        lambda: throw_switch(EVERYTHING, reason="x", by=actor, now=LATER),
        lambda: ask_end(row.pk, reason="x", by=actor, now=LATER),
        lambda: end_suspension(row.pk, reason="x", by=actor, now=LATER),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert kill_switch_thrown()


@pytest.mark.parametrize("actor", AI[:2], ids=["model", "device"])
def test_nor_begins_anything_by_a_rule(hospital, actor):  # noqa: F811
    with pytest.raises(NotAllowed):
        suspend(EVERYTHING, cause=Cause.AUTOMATIC_RULE, cause_ref="r", reason="x", by=actor, now=LATER)
    with pytest.raises(NotAllowed):
        suspend(EVERYTHING, cause=Cause.KILL_SWITCH, cause_ref="r", reason="x", by=job(), now=LATER)


def test_a_job_that_lends_itself_a_role_is_stopped_by_the_database(hospital):  # noqa: F811
    """A task with forged arguments: the standing of a clinician, the actor of a job."""
    forged = Acting(job().actor, Standing("x", frozenset({Role.CLINICIAN})), user=hospital.people["clinician"])
    with refused("no entry of this very act"):
        throw_switch(EVERYTHING, reason="x", by=forged, now=LATER)


def test_who_threw_the_switch_neither_asks_for_its_end_nor_ends_it(hospital):  # noqa: F811
    row = thrown(hospital)
    for act in (ask_end, end_suspension):
        with pytest.raises(NotAllowed):
            act(row.pk, reason="x", by=hospital.acting("clinician", now=LATER), now=LATER)


def test_a_thrown_switch_is_ended_by_two_others_with_different_roles(hospital):  # noqa: F811
    row = thrown(hospital, by="pharmacist")
    hospital.join("lead", Role.RESPONSIBLE_AI_LEAD, now=NOW)
    first, same_role, lead = (hospital.acting(name, now=LATER) for name in ("clinician", "other_clinician", "lead"))
    with pytest.raises(SecondNeeded):
        end_suspension(row.pk, reason="x", by=first, now=LATER)
    ask_end(row.pk, reason="x", by=first, now=LATER)
    for by in (first, same_role):
        with pytest.raises(SecondNeeded):
            end_suspension(row.pk, reason="x", by=by, now=LATER)
    assert kill_switch_thrown()
    end = end_suspension(row.pk, reason="it is over", by=lead, now=LATER)
    commits()
    assert not standing()
    assert payload_of(end.entry)["why_it_ends"] == "it is over"
    with pytest.raises(NotFound):
        end_suspension(row.pk, reason="x", by=same_role, now=LATER)


def test_a_rule_s_suspension_is_ended_by_one_person_who_may(hospital):  # noqa: F811
    row = suspend(EVERYTHING, cause=Cause.AUTOMATIC_RULE, cause_ref="r", reason="a test", by=job(), now=LATER)
    with pytest.raises(NotAllowed):
        end_suspension(row.pk, reason="x", by=hospital.acting("engineer", now=LATER), now=LATER)
    end_suspension(row.pk, reason="looked at", by=hospital.acting("clinician", now=LATER), now=LATER)
    commits()


def test_the_same_switch_twice_is_thrown_once(hospital):  # noqa: F811
    assert thrown(hospital).pk == thrown(hospital, by="pharmacist").pk
    assert Suspension.objects.count() == 1


def test_it_needs_a_reason_and_one_thing(hospital):  # noqa: F811
    with pytest.raises(BadInput):
        throw_switch(EVERYTHING, reason="  ", by=hospital.acting("clinician"), now=LATER)
    for scope, name in (("everything", "x"), ("model", ""), ("nonsense", "x")):
        with pytest.raises(BadInput):
            ref_of(scope, name)


def test_who_may_throw_is_more_people_than_who_may_end():
    throw = {role for permission, role in TABLE if permission is Permission.THROW_SWITCH}
    end = {role for permission, role in TABLE if permission is Permission.END_SUSPENSION}
    assert end < throw
    assert Role.PATIENT not in throw


def test_every_person_of_the_pathway_is_in_exactly_one_cohort():
    assert [len(cohorts_of(age)) for age in range(18, 100)] == [1] * 82
    assert cohorts_of(None) == cohorts_of(17) == cohorts_of(100) == ()
    assert len({one.name for one in cohorts()}) == 3


def test_the_entry_says_who_what_and_why(hospital):  # noqa: F811
    row = thrown(hospital, Ref(Scope.COHORT, "age_80_and_over"))
    said = payload_of(UUID(str(row.entry)))
    assert (said["scope"], said["name"], said["reason"]) == ("cohort", "age_80_and_over", "a drill")
