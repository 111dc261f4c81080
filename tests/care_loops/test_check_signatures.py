"""A row changed after it was signed, a signature copied or taken off: each is named, whoever did it, in every table."""

import json
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from audit.domain import Job
from audit.models import Entry
from audit.selectors import payload_of
from audit.services.shredding import Lawful, shred_payload
from care_loops import tasks
from care_loops.danger import LimitName
from care_loops.domain.loops import LoopState
from care_loops.models import Decision, Target
from care_loops.services import OrderInput, recall, write_order
from care_loops.services.limits import sign_alert_limits
from care_loops.services.signed_rows import (
    READERS,
    check_signatures,
    check_signatures_and_record,
)
from governance.domain import Role
from governance.models import Signature, SignatureEvidence
from governance.presenters.record_state import state_shown
from governance.services.signed_rows import Fault, last_signatures_checked, plain
from governance.services.suspensions import ask_end, end_suspension, throw_switch
from governance.suspension import Ref, Scope
from models.registry.models import ModelApproval
from tests.audit.builders import complete
from tests.factories import LISINOPRIL, NOW, Hospital

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"]), pytest.mark.slow]
LATER = NOW + timedelta(hours=3)


def signed() -> Hospital:
    """A site in which every kind of signed row stands."""
    made = Hospital()
    loop = made.loop_at(LoopState.DELIVERED)
    made.boundary(loop.patient)
    by = made.acting("clinician", now=LATER)
    sign_alert_limits(loop.patient_id, {LimitName.CRISIS_SYSTOLIC: Decimal(160)}, by=by, now=LATER)
    recall(loop.pk, reason_code="side_effect", free_text="dizzy", by=by, now=LATER)
    made.order = write_order(loop.patient_id, OrderInput(f"stop:{LISINOPRIL}", "side_effect", ""), by=by, now=LATER)
    complete()
    return made


@pytest.fixture
def hospital(built) -> Hospital:
    """The same, committed."""
    return built.once(signed)


@contextmanager
def by_a_superuser(owner, table):
    """Nobody of ours can write here; who owns the tables takes the guards away, and puts them back."""
    owner.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled = 'A'", [table])
    guards = [name for (name,) in owner.fetchall()]
    owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    try:
        yield
    finally:
        for name in guards:
            owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


@contextmanager
def changed(owner, table, column, value, where="true"):
    """One value of one row of a table is another one for as long as this lasts."""
    owner.execute(f"SELECT ctid::text, {column} FROM {table} WHERE {where} ORDER BY ctid LIMIT 1")
    place, before = owner.fetchone()
    with by_a_superuser(owner, table):
        owner.execute(f"UPDATE {table} SET {column} = {value} WHERE ctid = %s::tid RETURNING ctid::text", [place])
        (place,) = owner.fetchone()
        try:
            yield before
        finally:
            owner.execute(f"UPDATE {table} SET {column} = %s WHERE ctid = %s::tid", [before, place])


def found():
    return {(each.kind, each.fault) for each in check_signatures().found}


def test_a_house_in_which_everything_is_as_it_was_signed_is_not_accused(hospital):
    hospital.join("officer", Role.COMPLIANCE_OFFICER, now=NOW)
    ref, by = Ref(Scope.MODEL, "home_bp"), hospital.acting("pharmacist", now=LATER)
    switch = throw_switch(ref, reason="drill", by=by, now=LATER)
    for who, ends in (("clinician", ask_end), ("officer", end_suspension)):
        ends(switch.pk, reason="drill over", by=hospital.acting(who, now=LATER), now=LATER)
    complete()
    checked = check_signatures()
    assert checked.found == ()
    assert checked.rows == checked.holds == sum(checked.kinds.values())
    assert set(checked.kinds) >= {
        *("decision", "order", "recall", "target", "boundary", "alert limits", "policy", "approval", "release"),
        *("suspension end asked", "suspension end"),
    }


CHANGES = {
    "decision: the dose": ("care_loops_decision", "final_change", "replace(final_change, '10', '40')", "decision"),
    "decision: the reason": ("care_loops_decision", "reason_code", "'other'", "decision"),
    "decision: whose": ("care_loops_loop", "evidence_digest", "repeat('0', 64)", "decision"),
    "order: what was ordered": ("care_loops_decision", "final_change", "original_change", "order"),
    "recall: why": ("care_loops_step", "reason_code", "'other'", "recall"),
    "target": ("care_loops_target", "systolic_below", "systolic_below + 20", "target"),
    "boundary: how long": ("care_loops_boundary", "expires_at", "expires_at + interval '1 day'", "boundary"),
    "boundary: how much": ("care_loops_boundarydrug", "max_daily_dose_mg", "max_daily_dose_mg * 2", "boundary"),
    "boundary: how often": ("care_loops_boundary", "max_steps", "max_steps + 1", "boundary"),
    "alert limits": ("care_loops_alertlimits", "crisis_systolic", "175", "alert limits"),
    "alert limits: one more": ("care_loops_alertlimits", "low_systolic", "95", "alert limits"),
    "policy: the body": ("governance_policyversion", "body", "regexp_replace(body, '}$', ',\"zzz\":1}')", "policy"),
    "motion: what was put": (
        "governance_motion",
        "said",
        "replace(said, 'lives_seconds', 'lives_second')",
        "motion",
    ),
    "motion: unreadable": ("governance_motion", "said", "'{'", "motion"),
    "policy: unreadable": ("governance_policyversion", "body", "'['", "policy"),
    "motion: approved under a role": ("governance_approval", "role", "'auditor'", "approval of a motion"),
    "policy: from when": (
        *("governance_policyversion", "effective_from", "effective_from - interval '1 year'"),
        "policy",
    ),
    "approval: the digest": ("model_registry_modelapproval", "digest", "repeat('0', 64)", "approval"),
    "approval and release: the card": ("model_registry_modelversion", "card", "card || ' '", "approval"),
    "release: the digest": ("model_registry_modelrelease", "digest", "repeat('0', 64)", "release"),
}
WHERE = {"recall": "state = 'recalled'", "order": "reason_code = 'side_effect'", "release": "true"}


def test_every_kind_of_row_changed_after_signing_is_named(hospital, owner_db):
    for name, (table, column, value, kind) in CHANGES.items():
        where = WHERE.get(kind, "true")
        if table == "care_loops_decision" and kind == "decision":
            where = f"loop_id <> '{hospital.order.pk}'"
        if table == "model_registry_modelversion":
            where = "active"
        if table == "care_loops_loop":
            where = "id IN (SELECT loop_id FROM care_loops_decision)"
        with changed(owner_db, table, column, value, where):
            assert (kind, Fault.CONTENT) in found(), name
    assert found() == set()


def test_the_fields_that_differ_are_named(hospital, owner_db):
    with changed(owner_db, "care_loops_target", "diastolic_below", "60"):
        (finding,) = check_signatures().found
        assert (finding.fault, finding.fields) == (Fault.CONTENT, ("diastolic_below",))


PEOPLE = {
    "care_loops_decision": "decided_by_id",
    "care_loops_target": "signed_by_id",
    "care_loops_boundary": "signed_by_id",
    "care_loops_alertlimits": "signed_by_id",
    "governance_motion": "author_id",
    "governance_approval": "approver_id",
    "model_registry_modelapproval": "approver_id",
    "model_registry_modelrelease": "released_by_id",
}


def test_a_row_that_names_another_signer_is_named(hospital, owner_db):
    somebody = f"'{hospital.people['other_clinician'].pk}'"
    for table, column in PEOPLE.items():
        with changed(owner_db, table, column, somebody):
            assert Fault.RECORD in {fault for _, fault in found()}, table


SIGNED = (*PEOPLE, "care_loops_step", "governance_motion", "governance_approval")


def test_a_signature_copied_from_another_record_is_named_in_every_table(hospital, owner_db):
    donor = Target.objects.get().signature_id
    other = Decision.objects.exclude(loop=hospital.order).get().signature_id
    for table in SIGNED:
        copied = other if table == "care_loops_target" else donor
        with changed(owner_db, table, "signature_id", f"'{copied}'", "signature_id IS NOT NULL"):
            faults = {fault for _, fault in found()}
            assert faults >= {Fault.RECORD, Fault.TWICE, Fault.ENTRY}, table
    assert found() == set()


def test_a_signature_taken_off_is_named_by_the_entry(hospital, owner_db):
    for table in SIGNED:
        owner_db.execute(f"ALTER TABLE {table} ALTER COLUMN signature_id DROP NOT NULL")
        try:
            with changed(owner_db, table, "signature_id", "NULL", "signature_id IS NOT NULL"):
                assert {fault for _, fault in found()} == {Fault.REMOVED}, table
        finally:
            if table not in ("care_loops_step", "governance_policyversion", "model_registry_modelapproval"):
                owner_db.execute(f"ALTER TABLE {table} ALTER COLUMN signature_id SET NOT NULL")


LIES = {
    "meaning": "'prescribes twice the dose'",
    "name_shown": "'Somebody Else'",
    "signed_at": "signed_at - interval '1 day'",
    "method": "'password_totp'",
    "record_digest": "repeat('0', 64)",
}


def test_a_signature_that_says_something_else_than_the_log_is_named(hospital, owner_db):
    where = f"id = '{Target.objects.get().signature_id}'"
    for column, value in LIES.items():
        with changed(owner_db, "governance_signature", column, value, where):
            assert ("target", Fault.ENTRY) in found(), column


def test_evidence_that_was_changed_bears_nothing_out(hospital, owner_db):
    where = f"signature_id = '{Target.objects.get().signature_id}'"
    for column in ("record", "assertion", "client_data", "nonce"):
        with changed(owner_db, "governance_signatureevidence", column, f"set_byte({column}, 12, 65)", where):
            assert ("target", Fault.BROKEN) in found(), column


def test_a_row_signed_anew_by_the_application_for_another_act_does_not_stand(hospital, owner_db):
    """Whoever holds the database forges the whole of an attested signature; the log carries another one."""
    target = Target.objects.get()
    evidence, signature = SignatureEvidence.objects.get(signature=target.signature), target.signature
    assert signature.method == "webauthn"
    with changed(owner_db, "governance_signature", "method", "'password_totp'", f"id = '{signature.pk}'"):
        said = json.loads(bytes(evidence.record))
        assert said["type"] == "target.signed"
        assert ("target", Fault.ENTRY) in found()


def test_what_was_shredded_is_counted_as_that_and_not_as_good(hospital):
    target = Target.objects.get()
    kept = Entry.objects.get(entry_id=target.signature.entry)
    from audit.models import Payload

    lawful = Lawful("court-1", "dr-noor")
    shred_payload(Payload.objects.get(entry_id=kept.entry_id).pk, lawful=lawful, by=Job("x", "1"), now=LATER)
    complete()
    before = check_signatures()
    assert (before.shredded, before.found) == (1, ())
    assert before.holds == before.rows - 1


def test_no_table_that_names_a_signature_is_left_out():
    named = {
        model
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model is Signature
    } - {SignatureEvidence}
    assert named == {model for models in READERS.values() for model in models}
    assert ModelApproval in named


# --- the doors --------------------------------------------------------------------------------------------------------


def test_the_command_says_which_and_ends_with_one(hospital, owner_db):
    out = StringIO()
    call_command("check_signatures", stdout=out)
    assert "say what was signed" in out.getvalue()
    with changed(owner_db, "care_loops_target", "systolic_below", "150"):
        for flag in ([], ["--json"]):
            out = StringIO()
            with pytest.raises(SystemExit) as ended:
                call_command("check_signatures", *flag, stdout=out)
            assert ended.value.code == 1
            assert str(Target.objects.get().pk) in out.getvalue()
        assert json.loads(out.getvalue())["found"][0]["fields"] == ["systolic_below"]


def test_each_night_it_is_recorded_and_a_fault_stays_in_sight(hospital, owner_db):
    assert last_signatures_checked() is None
    assert tasks.check_signatures() is True
    complete()
    assert last_signatures_checked().found == 0
    with changed(owner_db, "care_loops_target", "systolic_below", "150"):
        assert tasks.check_signatures() is False
        complete()
    entry = Entry.objects.filter(type="signature.checked").order_by("-position").first()
    assert (entry.outcome, last_signatures_checked().found) == ("error", 1)
    said = payload_of(entry.entry_id)
    assert "1 signed row is not what was signed" in str(state_shown(now=timezone.now()).alarms)
    assert b"clinaiops_signatures_void 1" in Client().get("/metrics").content
    assert said["found"][0]["fault"] == "content_changed"
    assert "mary" not in json.dumps(said).lower()
    assert check_signatures_and_record(by=Job("night", "1"), now=timezone.now()).found == ()


def test_one_spelling_of_numbers_and_times_is_not_a_change_and_another_value_is():
    one = {"expires_at": "2026-05-01T12:00:00+02:00", "drugs": [{"ingredient": "b", "max_daily_dose_mg": "10"}]}
    same = {"expires_at": "2026-05-01T10:00:00+00:00", "drugs": [{"max_daily_dose_mg": "10.000", "ingredient": "b"}]}
    assert plain(one) == plain(same)
    assert plain(one) != plain(same | {"expires_at": "2026-05-01T10:00:01+00:00"})
    assert plain({"free_text": "1.0"}) != plain({"free_text": "1.00"})
