"""What a patient agrees to, and what stops when they withdraw: on every path, in every order, and in the database."""

import json
import threading
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from audit.entries import pseudonym
from audit.models import Entry, Outbox
from audit.selectors import payload_of
from audit.services import keys, sequence_until_empty
from care_loops import tasks
from care_loops.consent_texts import text_now, texts
from care_loops.domain.evidence import Evidence
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.domain.refusals import Withheld
from care_loops.freeze import thaw
from care_loops.models import Alert, Consent, Loop, Message, SensorSample
from care_loops.pathways.hypertension.rules import rules
from care_loops.presenters.consents import receipt_of
from care_loops.recommend import recommend
from care_loops.selectors.record import agrees, objects
from care_loops.services import (
    DecisionInput,
    NewBoundary,
    NewBoundaryDrug,
    Sample,
    decide,
    deliver,
    merge_patients,
    replay,
    sign_boundary,
    take_in_samples,
)
from care_loops.services.consents import TextChanged, give_consent
from care_loops.services.events import note
from care_loops.services.respond import tell_proposed
from governance.domain import NotAllowed, NotFound, Refusal, Role
from models.registry.models import Example
from models.registry.selectors import labelled_examples
from models.registry.services.datasets import who_is
from tests.care_loops.test_transitions import entry_for, push, raw_loop
from tests.factories import LISINOPRIL, NOW, Hospital, job

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

OBJECTIONS = [("automated_advice", False, "consent_withdrawn"), ("human_only_care", True, "human_only_care")]


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(Hospital)


def later(minutes: int = 10):
    return NOW + timedelta(minutes=minutes)


def says(hospital, patient, scope, *, given, at=None, version=None) -> Consent:
    when = at or later()
    return give_consent(patient.pk, scope, given=given, by=hospital.own(patient, now=when), now=when, version=version)


# --- automation stops -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "given", "reason"), OBJECTIONS)
@pytest.mark.parametrize("state", [LoopState.WITH_CLINICIAN, LoopState.WITH_PATIENT, LoopState.APPROVED])
def test_what_stands_open_is_taken_back_by_name_in_the_same_transaction(hospital, state, scope, given, reason):
    loop = hospital.loop_at(state)
    says(hospital, loop.patient, scope, given=given)
    loop.refresh_from_db()
    ended = LoopState.RECALLED if state is LoopState.APPROVED else LoopState.WITHDRAWN
    assert loop.state == ended.value
    assert loop.steps.get(seq=loop.version).reason_code == reason
    assert deliver(loop.pk, by=job("relay"), now=later(20)) is None
    tell_proposed(loop.pk, by=job("relay"), now=later(20))
    assert not Message.objects.filter(loop=loop, kind__startswith="change").exists()
    with pytest.raises(Refusal):
        hospital.approve(loop, now=later(20))


@pytest.mark.parametrize(("scope", "given", "reason"), OBJECTIONS)
def test_no_window_proposes_anything_any_more_not_by_the_clock_nor_by_a_forged_task(hospital, scope, given, reason):
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    says(hospital, patient, scope, given=given, at=NOW - timedelta(days=1))
    loop = hospital.close(patient)
    assert (loop.state, loop.withheld_reason) == ("withheld", Withheld.HUMAN_ONLY_CARE.value)
    assert replay(loop.pk).identical
    tasks.close_window(str(patient.pk))
    tasks.close_due_windows()
    tasks.look_again()
    proposals = Loop.objects.filter(patient=patient).exclude(state="withheld")
    assert not proposals.exists()
    assert not Outbox.objects.filter(topic="patient.tell").exists()


def test_the_predictor_is_not_even_asked_about_them(hospital):
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    says(hospital, patient, "human_only_care", given=True, at=NOW - timedelta(days=1))
    evidence = thaw(hospital.close(patient).evidence, Evidence)

    def asked(*_args: object) -> object:
        raise AssertionError("the predictor was asked")

    assert recommend(evidence, rules(), asked).withheld is Withheld.HUMAN_ONLY_CARE


def test_danger_rules_run_on_without_any_consent(hospital):
    patient = hospital.patient()
    says(hospital, patient, "human_only_care", given=True, at=NOW - timedelta(days=1))
    says(hospital, patient, "automated_advice", given=False, at=NOW - timedelta(days=1))
    hospital.measures(patient, 192, 124)
    assert Alert.objects.filter(patient=patient, locks=True).exists()


def test_a_clinicians_own_order_and_a_delivered_change_stand(hospital):
    loop = hospital.loop_at(LoopState.DELIVERED)
    says(hospital, loop.patient, "human_only_care", given=True, at=later(120))
    loop.refresh_from_db()
    assert loop.state == "delivered"


def test_taking_it_back_lets_the_next_window_propose_again(hospital):
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    says(hospital, patient, "human_only_care", given=True, at=NOW - timedelta(days=2))
    says(hospital, patient, "human_only_care", given=False, at=NOW - timedelta(days=1))
    assert hospital.close(patient).state == "with_clinician"


def test_no_word_is_no_word(hospital):
    """Nothing goes straight to the patient without a yes; nothing is an objection but what was said."""
    patient = hospital.patient()
    assert not agrees(patient, "automated_advice", now=NOW)
    assert not objects(patient, now=NOW)


# --- at the same moment -----------------------------------------------------------------------------------------------


def together(*acts) -> list[Exception | None]:
    """Run these at one barrier, each in a thread with a connection of its own."""
    barrier, found = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number: int, act) -> None:
        try:
            barrier.wait(timeout=30)
            act()
        except Exception as err:  # noqa: BLE001  (what it was is asserted by the caller)
            found[number] = err
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return found


@pytest.mark.parametrize("turn", range(4))
def test_withdrawal_and_delivery_at_one_barrier_one_of_them_is_first_and_the_other_sees_it(hospital, turn):
    loop = hospital.loop_at(LoopState.APPROVED)
    at = later()
    refused = together(
        lambda: says(hospital, loop.patient, "automated_advice", given=False, at=at),
        lambda: deliver(loop.pk, by=job("relay"), now=at),
    )
    assert refused == [None, None]
    loop.refresh_from_db()
    told = Message.objects.filter(loop=loop, kind="change").exists()
    assert (loop.state, told) in {("recalled", False), ("delivered", True)}


@pytest.mark.parametrize("turn", range(3))
def test_withdrawal_and_decision_at_one_barrier_leave_nothing_that_goes_out(hospital, turn):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    at = later()
    refused = together(
        lambda: says(hospital, loop.patient, "human_only_care", given=True, at=at),
        lambda: hospital.approve(loop, now=at),
    )
    assert refused[0] is None
    assert refused[1] is None or isinstance(refused[1], Refusal)
    loop.refresh_from_db()
    assert loop.state in {"withdrawn", "recalled"}


def test_withdrawal_and_a_closing_window_at_one_barrier(hospital):
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    refused = together(
        lambda: says(hospital, patient, "human_only_care", given=True, at=NOW), lambda: hospital.close(patient)
    )
    assert refused == [None, None]
    assert Loop.objects.get(patient=patient).state in {"withheld", "withdrawn"}


# --- the database -----------------------------------------------------------------------------------------------------


def test_silence_is_no_yes_to_the_database_either(hospital):
    """A boundary is signed and nobody asked the patient: no row puts a change before them."""
    patient = hospital.patient()
    lisinopril = NewBoundaryDrug(LISINOPRIL, Decimal(40), allow_up=True)
    before = NOW - timedelta(days=9)
    times = {"starts_at": before, "expires_at": NOW + timedelta(days=90)}
    new = NewBoundary(drugs=(lisinopril,), max_steps=3, min_interval_days=28, review_everything=False, **times)
    signed = sign_boundary(patient.pk, new, by=hospital.acting("clinician", now=before), now=before)
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    assert loop.state == "with_clinician"  # the service asks; below, nobody does
    with pytest.raises(IntegrityError, match="without the consent"), transaction.atomic():  # noqa: PT012
        made = raw_loop(loop, LoopState.PROPOSED)
        push(made, "", "proposed", seq=1, entry=entry_for(made, 1))
        made.version = 1
        push(made, "proposed", "with_patient", boundary_id=signed.pk)


def test_no_row_delivers_what_the_patient_objected_to(hospital):
    """By raw SQL as the application's role, after a withdrawal that stopped nothing; for another the row is legal."""
    objecting, other = hospital.loop_at(LoopState.APPROVED), hospital.loop_at(LoopState.APPROVED)
    _objected_by_hand(hospital, objecting.patient)
    objecting.refresh_from_db()
    assert objecting.state == "approved"
    with pytest.raises(IntegrityError, match="without the consent"):
        _delivered_by_hand(objecting)
    _delivered_by_hand(other)


def _objected_by_hand(hospital, patient) -> None:
    """The patient's word with its entry, and nothing else: as a service that forgot to stop would leave it."""
    by = hospital.own(patient, now=later())
    with transaction.atomic(), connection.cursor() as cursor:
        said = {"scope": "human_only_care", "text_version": None, "text_sha256": None}
        entry = note(
            "consent.given", of=("consent", uuid4(), 1), by=by, now=later(), patient_id=patient.pk, payload=said
        )
        cursor.execute(
            "INSERT INTO care_loops_consent (patient_id, scope, given, at, by_id, text_version, text_sha256, entry)"
            " VALUES (%s, 'human_only_care', true, %s, %s, '', '', %s)",
            [patient.pk, later(), patient.account_id, entry.entry_id],
        )


def _delivered_by_hand(loop: Loop) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        of = ("recommendation", loop.pk, loop.version + 1)
        entry = note("recommendation.delivered", of=of, by=job(), now=later(20), patient_id=loop.patient_id)
        cursor.execute(
            "INSERT INTO care_loops_step (loop_id, seq, before, state, entered_at, actor_kind, actor_id, reason_code,"
            " decision_id, entry) SELECT loop_id, seq + 1, state, 'delivered', %s, 'service', 'x', '', decision_id,"
            " %s FROM care_loops_step WHERE loop_id = %s AND state = 'approved'",
            [later(20), entry.entry_id, loop.pk],
        )
        transaction.set_rollback(True)


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_was_agreed_to_in_which_words_when_and_to_whom(hospital):
    patient = hospital.patient()
    text = text_now("research")
    row = says(hospital, patient, "research", given=True, version=text.version)
    said = receipt_of(row)
    assert said["text"] == text.text
    assert (said["textVersion"], said["textSha256"]) == (text.version, text.digest)
    assert said["consentReceiptID"] == str(row.entry)
    assert said["consentTimestamp"] == int(later().timestamp())
    assert said["piiControllers"][0]["piiController"]
    assert said["services"][0]["purposes"][0]["consentType"] == "EXPLICIT"
    sequence_until_empty()
    assert payload_of(row.entry)["text_sha256"] == text.digest
    assert receipt_of(says(hospital, patient, "research", given=False, at=later(20)))["given"] is False


def test_a_text_that_changed_since_is_not_agreed_to(hospital):
    with pytest.raises(TextChanged):
        says(hospital, hospital.patient(), "research", given=True, version="0")
    assert not Consent.objects.exists()


def test_every_scope_has_a_text_with_its_source():
    assert {scope for scope, _ in texts()} == set(Consent.SCOPES)
    assert len({text.digest for text in texts().values()}) == len(texts())


def test_only_the_patient_says_so(hospital):
    mary, otto = hospital.patient(), hospital.patient()
    for by, refusal in ((hospital.acting("clinician"), NotAllowed), (hospital.own(otto), NotFound)):
        with pytest.raises(refusal):
            give_consent(mary.pk, "research", given=True, by=by, now=NOW)


# --- data -------------------------------------------------------------------------------------------------------------


def exported() -> list[dict]:
    out = StringIO()
    call_command("export_examples", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_next_dataset_lacks_whoever_withdrew_from_research(hospital):
    patient = hospital.patient()
    says(hospital, patient, "research", given=True, at=NOW - timedelta(days=2))
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    chosen = DecisionInput(DecisionKind.REJECT, "patient_preference", "", loop.version)
    decide(loop.pk, chosen, by=hospital.acting("clinician"), now=NOW)
    assert len(exported()) == 1
    says(hospital, patient, "research", given=False)
    assert exported() == []
    assert Example.objects.count() == 1
    says(hospital, patient, "research", given=True, at=later(30))
    assert len(exported()) == 1


def test_a_merged_record_takes_the_word_of_the_whole_person(hospital):
    patient, kept = hospital.patient(), hospital.patient()
    says(hospital, patient, "research", given=True, at=NOW - timedelta(days=2))
    hospital.weeks(patient, *[(150, 92)] * 5)
    loop = hospital.close(patient)
    chosen = DecisionInput(DecisionKind.REJECT, "patient_preference", "", loop.version)
    decide(loop.pk, chosen, by=hospital.acting("clinician"), now=NOW)
    says(hospital, kept, "research", given=False)
    assert [row["research_consent"] for row in labelled_examples("hypertension")] == [True]
    merge_patients(patient.pk, kept.pk, reason="the same person", by=hospital.acting("admin"), now=later())
    assert [row["research_consent"] for row in labelled_examples("hypertension")] == [False]


def test_a_dataset_names_nobody_and_who_may_ask_leaves_an_entry(hospital):
    """No identifier of the house stands in it; the same person is the same; resolving one is recorded about them."""
    hospital.join("auditor", Role.AUDITOR, now=NOW)
    loop = hospital.loop_at(LoopState.REJECTED)
    out = StringIO()
    call_command("export_examples", "--for-care", stdout=out)
    clinician, example = hospital.people["clinician"], Example.objects.get()
    known = [str(each) for each in (loop.pk, loop.patient_id, clinician.pk, example.pk)]
    assert str(loop.patient_id) == example.subject
    assert not [each for each in known if each in out.getvalue()]
    said = json.loads(out.getvalue())["subject"]
    assert said != pseudonym(str(loop.patient_id), tenant_key=keys.tenant_key())
    by = hospital.acting("auditor")
    with pytest.raises(NotAllowed):
        who_is("hypertension", said, reason="a finding", by=hospital.acting("clinician"), now=NOW)
    with pytest.raises(Refusal):
        who_is("hypertension", said, reason=" ", by=by, now=NOW)
    with pytest.raises(NotFound):
        who_is("hypertension", "0" * 32, reason="a finding", by=by, now=NOW)
    assert who_is("hypertension", said, reason="a finding", by=by, now=NOW) == str(loop.patient_id)
    sequence_until_empty()
    entry = Entry.objects.get(type="dataset.reidentified")
    assert payload_of(entry.entry_id) == {"pseudonym": said, "reason": "a finding"}
    assert Entry.objects.filter(type="export.made").count() == 1


def test_what_devices_measure_besides_is_not_stored_once_withdrawn(hospital):
    patient = hospital.patient()

    def sent(number: int, at) -> int:
        sample = Sample("watch", f"s{number}", "steps", 12, "{steps}", NOW, NOW, "w")
        return take_in_samples(patient.pk, [sample], by=job("watch"), now=at, received_at=at)

    assert sent(1, NOW) == 1
    says(hospital, patient, "raw_upload", given=False)
    assert sent(2, later(20)) == 0
    assert SensorSample.objects.count() == 1
    hospital.measures(patient, 131, 82, at=later(20))
    says(hospital, patient, "raw_upload", given=True, at=later(30))
    assert sent(3, later(40)) == 1
