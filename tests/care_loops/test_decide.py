"""A clinician decides, orders, recalls; a patient answers: each with who, when and what, and nothing past a danger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from care_loops.domain.changes import Change, ChangeKind
from care_loops.domain.evidence import Outcome, candidate_key
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.domain.record import SymptomKind
from care_loops.freeze import thaw
from care_loops.models import Decision, Loop, RegimenEntry
from care_loops.policies import AlreadyDecided, Changed, Expired, HeldForSafety, LimitStops, NotNow
from care_loops.selectors.regimen import regimen_now
from care_loops.services import (
    Answer,
    DecisionInput,
    NewIntake,
    NewSymptom,
    OrderInput,
    close_window,
    decide,
    deliver,
    expire_loops,
    join_care_team,
    leave_care_team,
    log_intake,
    order_candidates,
    recall,
    record_symptom,
    replay,
    respond,
    write_order,
)
from governance.domain import BadInput, NotAllowed, NotFound, Refusal, Role
from governance.models import Signature, User
from governance.services import acting_device, acting_person
from governance.services.accounts import leave, revoke_role
from tests.care_loops.standing import commits, hospital, pass_on, site  # noqa: F401
from tests.factories import AMLODIPINE, LISINOPRIL, NOW, Hospital, job

S = LoopState
SOON = NOW + timedelta(hours=2)
APPROVE = DecisionInput(DecisionKind.APPROVE, "", "", 2)


@pytest.fixture
def waiting(hospital: Hospital) -> Loop:  # noqa: F811
    return hospital.loop_at(S.WITH_CLINICIAN)


def test_the_original_stays_beside_what_was_modified(hospital):  # noqa: F811
    loop = hospital.loop_at(S.MODIFIED)
    decision = Decision.objects.get(loop=loop)
    assert thaw(decision.original_change, Change) == thaw(loop.outcome, Outcome).change
    assert thaw(decision.final_change, Change).kind is ChangeKind.STOP
    assert decision.signature.signer_id == decision.decided_by_id
    commits()


def test_the_second_is_told_who_when_and_what(hospital, waiting):  # noqa: F811
    hospital.approve(waiting)
    with pytest.raises(AlreadyDecided) as refusal:
        decide(waiting.pk, APPROVE, by=hospital.acting("clinician"), now=SOON)
    winner = Decision.objects.get(loop=waiting)
    assert refusal.value.status == 409
    assert refusal.value.extra["winner"] == "Clinician Example"
    assert refusal.value.extra["decided_at"] == winner.decided_at.isoformat()
    assert refusal.value.extra["kind"] == "approve"


@pytest.mark.parametrize(
    ("chosen", "refusal"),
    [
        (DecisionInput(DecisionKind.APPROVE, "", "", 1), Changed),
        (DecisionInput(DecisionKind.APPROVE, "no such reason", "", 2), BadInput),
        (DecisionInput(DecisionKind.REJECT, "", "", 2), BadInput),
        (DecisionInput(DecisionKind.REJECT, "other", "  ", 2), BadInput),
        (DecisionInput(DecisionKind.MODIFY, "frailty_or_falls", "", 2, None), BadInput),
        (DecisionInput(DecisionKind.MODIFY, "frailty_or_falls", "", 2, "step_up:29046:20"), BadInput),
        (DecisionInput(DecisionKind.MODIFY, "frailty_or_falls", "", 2, "stay:"), BadInput),
        (DecisionInput(DecisionKind.MODIFY, "frailty_or_falls", "", 2, "start:52175:50"), LimitStops),
    ],
)
def test_a_decision_that_cannot_be_is_refused_and_leaves_nothing(hospital, waiting, chosen, refusal):  # noqa: F811
    with pytest.raises(refusal):
        decide(waiting.pk, chosen, by=hospital.acting("clinician"), now=SOON)
    waiting.refresh_from_db()
    assert (waiting.state, Decision.objects.filter(loop=waiting).count()) == ("with_clinician", 0)


def test_too_late_is_too_late_to_the_second(hospital, waiting):  # noqa: F811
    with pytest.raises(Expired):
        decide(waiting.pk, APPROVE, by=hospital.acting("clinician"), now=waiting.expires_at)
    pass_on(NOW)
    decide(waiting.pk, APPROVE, by=hospital.acting("clinician"), now=waiting.expires_at - timedelta(seconds=1))


def test_nobody_but_a_clinician_of_the_team_decides(hospital, waiting):  # noqa: F811
    for by in (acting_device("cuff-1"), job()):
        with pytest.raises(NotAllowed):
            decide(waiting.pk, APPROVE, by=by, now=SOON)
    for name in ("other_clinician", "pharmacist", "admin", "engineer"):
        with pytest.raises(Refusal) as refusal:
            decide(waiting.pk, APPROVE, by=hospital.acting(name), now=SOON)
        assert isinstance(refusal.value, NotAllowed | NotFound), name
    with pytest.raises(NotAllowed):
        decide(waiting.pk, APPROVE, by=hospital.own(waiting.patient), now=SOON)
    waiting.refresh_from_db()
    assert waiting.state == "with_clinician"


def test_who_has_left_or_lost_the_role_or_the_team_is_refused_at_the_next_act(hospital, waiting):  # noqa: F811
    admin, clinician = hospital.acting("admin"), hospital.people["clinician"]
    heir = hospital.people["other_clinician"].pk
    join_care_team(waiting.patient_id, heir, responsible=False, by=admin, now=NOW)
    leave_care_team(waiting.patient_id, clinician.pk, by=admin, now=NOW, next_responsible=heir)
    with pytest.raises(NotFound):
        decide(waiting.pk, APPROVE, by=hospital.acting("clinician", now=SOON), now=SOON)
    revoke_role(clinician.pk, Role.CLINICIAN, by=admin, now=NOW)
    with pytest.raises(NotAllowed):
        decide(waiting.pk, APPROVE, by=hospital.acting("clinician", now=SOON), now=SOON)
    leave(clinician.pk, by=admin, now=NOW)
    with pytest.raises(NotAllowed):
        acting_person(User.objects.get(pk=clinician.pk), now=SOON)


def test_an_increase_is_not_approved_past_an_open_danger_but_less_is(hospital, waiting):  # noqa: F811
    hospital.measures(waiting.patient, 185, 95, at=SOON)
    with pytest.raises(LimitStops):
        decide(waiting.pk, APPROVE, by=hospital.acting("clinician"), now=SOON)
    less = DecisionInput(DecisionKind.MODIFY, "frailty_or_falls", "", 2, f"stop:{LISINOPRIL}")
    assert decide(waiting.pk, less, by=hospital.acting("clinician"), now=SOON).kind == "modify"


def test_a_change_reaches_the_patient_once_with_old_and_new_dose_and_what_to_stop(hospital):  # noqa: F811
    loop = hospital.loop_at(S.APPROVED)
    assert deliver(loop.pk, by=job("relay"), now=SOON) is not None
    assert deliver(loop.pk, by=job("relay"), now=SOON) is None
    (message,) = loop.messages.all()
    for words in ("20 mg of lisinopril a day in all", "instead of 10 mg", "Stop the old dose"):
        assert words in message.text


def test_a_recalled_change_is_not_delivered_and_the_patient_who_saw_it_is_told(hospital):  # noqa: F811
    unseen, seen = hospital.loop_at(S.APPROVED), hospital.loop_at(S.DELIVERED)
    for loop in (unseen, seen):
        recall(loop.pk, reason_code="will_see_patient", free_text="", by=hospital.acting("clinician"), now=SOON)
    pass_on(SOON)
    commits()
    assert list(unseen.messages.values_list("kind", flat=True)) == []
    assert set(seen.messages.values_list("kind", flat=True)) == {"change", "recalled"}
    with pytest.raises(NotNow):
        respond(seen.pk, Answer.ACCEPT, reason_code="", by=hospital.own(seen.patient), now=SOON)
    with pytest.raises(NotFound):
        respond(unseen.pk, Answer.ACCEPT, reason_code="", by=hospital.own(unseen.patient), now=SOON)


def test_a_patient_who_asks_for_a_person_reads_what_that_person_decided(hospital):  # noqa: F811
    loop = hospital.loop_at(S.WITH_PATIENT)
    pass_on(NOW)
    respond(loop.pk, Answer.ASK_PERSON, reason_code="", by=hospital.own(loop.patient), now=SOON)
    loop.refresh_from_db()
    assert loop.state == "with_clinician"
    other = DecisionInput(DecisionKind.MODIFY, "frailty_or_falls", "", loop.version, f"stop:{LISINOPRIL}")
    decide(loop.pk, other, by=hospital.acting("clinician"), now=SOON)
    pass_on(SOON)
    commits()
    loop.refresh_from_db()
    assert loop.state == "delivered"
    texts = list(loop.messages.order_by("sent_at", "kind").values_list("text", flat=True))
    assert any(text.startswith("Stop lisinopril") for text in texts), texts


@pytest.mark.parametrize("state", [S.WITH_PATIENT, S.DELIVERED])
def test_a_yes_after_a_danger_or_a_side_effect_waits_for_the_care_team(hospital, state):  # noqa: F811
    crisis, blamed = hospital.loop_at(state), hospital.loop_at(state)
    hospital.measures(crisis.patient, 185, 95, at=SOON)
    new = NewSymptom("phone", f"s-{state}", SymptomKind.COUGH, LISINOPRIL, "", SOON)
    record_symptom(blamed.patient_id, new, by=hospital.own(blamed.patient), now=SOON)
    for loop in (crisis, blamed):
        with pytest.raises(HeldForSafety):
            respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient), now=SOON)
        respond(loop.pk, Answer.DECLINE, reason_code="", by=hospital.own(loop.patient), now=SOON)


def test_a_yes_to_a_boundary_that_no_longer_stands_is_refused_before_anything_looks_again(hospital):  # noqa: F811
    superseded, consent, off = (hospital.loop_at(S.WITH_PATIENT) for _ in range(3))
    hospital.boundary(superseded.patient, signed_at=SOON)
    hospital.consents(consent.patient, "automated_advice", given=False, at=SOON)
    for loop in (superseded, consent):
        with pytest.raises(NotNow):
            respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient), now=SOON)
    hospital.mode(patient_directed=False, now=SOON)
    with pytest.raises(NotNow):
        respond(off.pk, Answer.ACCEPT, reason_code="", by=hospital.own(off.patient), now=SOON)


def test_only_the_patient_answers_for_the_patient(hospital):  # noqa: F811
    mine, other = hospital.loop_at(S.DELIVERED), hospital.patient()
    for by in (hospital.own(other), hospital.acting("clinician"), job(), acting_device("x")):
        with pytest.raises(Refusal):
            respond(mine.pk, Answer.ACCEPT, reason_code="", by=by, now=SOON)


def test_the_regimen_changes_with_the_first_dose_and_not_before(hospital):  # noqa: F811
    loop = hospital.loop_at(S.ACCEPTED)
    patient = loop.patient

    def dose(now):
        return {d.ingredient: int(d.daily_dose.value) for d in regimen_now(patient, now=now).drugs}

    assert dose(SOON) == {LISINOPRIL: 10}
    before = NewIntake("phone", "d0", LISINOPRIL, NOW.date(), taken=True, taken_at=NOW)  # the old dose, that morning
    log_intake(patient.pk, before, by=hospital.own(patient), now=SOON)
    assert dose(SOON) == {LISINOPRIL: 10}
    first = NewIntake("phone", "d1", LISINOPRIL, NOW.date(), taken=True, taken_at=SOON)
    for _ in range(2):
        log_intake(patient.pk, first, by=hospital.own(patient), now=SOON)
    assert dose(SOON) == {LISINOPRIL: 20}
    loop.refresh_from_db()
    assert (loop.state, loop.steps.filter(state="done").count()) == ("done", 1)


def test_a_recalled_line_never_counts(hospital):  # noqa: F811
    loop = hospital.loop_at(S.ACCEPTED)
    recall(loop.pk, reason_code="will_see_patient", free_text="", by=hospital.acting("clinician"), now=SOON)
    late = SOON + timedelta(hours=1)
    dose = NewIntake("phone", "d9", LISINOPRIL, NOW.date(), taken=True, taken_at=late)
    log_intake(loop.patient_id, dose, by=hospital.own(loop.patient), now=late)
    assert RegimenEntry.objects.filter(loop=loop).count() == 1
    assert [int(d.daily_dose.value) for d in regimen_now(loop.patient, now=late).drugs] == [10]


# -- orders --------------------------------------------------------------------------------------------------------


def order(hospital: Hospital, patient, key: str, **more) -> Loop:  # noqa: F811
    given = {"reason_code": "different_drug_preferred", "free_text": "seen today"} | more
    return write_order(patient.pk, OrderInput(key, **given), by=hospital.acting("clinician", now=SOON), now=SOON)


def test_an_order_leaves_the_same_trail_and_makes_the_waiting_proposal_give_way(hospital, waiting):  # noqa: F811
    ordered = order(hospital, waiting.patient, f"start:{AMLODIPINE}:5")
    waiting.refresh_from_db()
    assert (waiting.state, waiting.steps.order_by("-seq").first().reason_code) == ("withdrawn", "clinician_order")
    assert list(ordered.steps.order_by("seq").values_list("state", flat=True)) == [
        *("proposed", "with_clinician", "modified")
    ]
    assert ordered.decision.signature.signer_id == hospital.people["clinician"].pk
    pass_on(SOON)
    commits()
    ordered.refresh_from_db()
    assert ordered.state == "delivered"
    assert replay(ordered.pk).identical


def test_a_danger_lock_does_not_stop_a_clinicians_own_order(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.measures(patient, 190, 125, at=NOW)
    ordered = order(hospital, patient, f"start:{AMLODIPINE}:5")
    assert "all-danger" in ordered.outcome, "what spoke is recorded"
    pass_on(SOON)
    commits()
    ordered.refresh_from_db()
    assert ordered.state == "delivered"
    respond(ordered.pk, Answer.ACCEPT, reason_code="", by=hospital.own(patient), now=SOON)


def test_a_hard_rule_is_overridden_only_by_name_and_in_words(hospital):  # noqa: F811
    patient = hospital.patient()
    key = "start:52175:50"  # an ARB beside an ACE inhibitor
    assert any(candidate_key(c.change) == key and c.barred for c in order_candidates(patient, now=SOON))
    with pytest.raises(LimitStops):
        order(hospital, patient, key)
    with pytest.raises(LimitStops):
        order(hospital, patient, key, override=("some-other-row",))
    with pytest.raises(BadInput):
        order(hospital, patient, key, override=("acei-with-arb",), free_text=" ")
    order(hospital, patient, key, override=("acei-with-arb",))


def test_no_override_makes_a_dose_above_the_highest_rung(hospital):  # noqa: F811
    patient = hospital.patient(drugs=((LISINOPRIL, "40"),))
    offered = {candidate_key(c.change) for c in order_candidates(patient, now=SOON)}
    assert f"stop:{LISINOPRIL}" in offered
    assert not any(key.startswith(f"step_up:{LISINOPRIL}") for key in offered)
    with pytest.raises(LimitStops):
        order(hospital, patient, f"step_up:{LISINOPRIL}", override=("top_of_ladder",))
    assert not Loop.objects.filter(patient=patient).exists()


def test_one_change_at_a_time(hospital):  # noqa: F811
    loop = hospital.loop_at(S.APPROVED)
    with pytest.raises(NotNow):
        order(hospital, loop.patient, f"start:{AMLODIPINE}:5")
    assert close_window(loop.patient_id, by=job(), now=NOW + timedelta(days=6)) is None
    expire_loops(by=job(), now=loop.expires_at)
    commits()


def test_a_change_decided_late_in_its_week_still_has_a_week_to_be_answered_and_two_to_be_begun(hospital):  # noqa: F811
    loop = hospital.loop_at(S.WITH_CLINICIAN)
    pass_on(NOW)
    late = loop.expires_at - timedelta(hours=1)
    hospital.approve(loop, now=late)
    deliver(loop.pk, by=job(), now=late)
    respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient), now=late + timedelta(days=6))
    assert expire_loops(by=job(), now=late + timedelta(days=19)) == 0
    assert expire_loops(by=job(), now=late + timedelta(days=20)) == 1


def test_a_recall_is_signed_by_who_takes_the_change_back(hospital):  # noqa: F811
    loop = hospital.loop_at(S.DELIVERED)
    recall(loop.pk, reason_code="will_see_patient", free_text="", by=hospital.acting("clinician"), now=SOON)
    signature = Signature.objects.latest("signed_at")
    assert (signature.meaning, signature.signer) == ("takes this change back", hospital.people["clinician"])
