"""No signed row stands without the evidence of its signature over this very record, not even by SQL (11.70; A9)."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection

from care_loops.danger import LimitName
from care_loops.domain.loops import LoopState
from care_loops.models import Decision, Step
from care_loops.services import OrderInput, recall, write_order
from care_loops.services.limits import sign_alert_limits
from governance.models import Signature
from tests.care_loops.standing import commits, hospital, refused, site, sql  # noqa: F401
from tests.factories import LISINOPRIL, NOW

LATER = NOW + timedelta(hours=3)
TABLES = {
    "decision": "care_loops_decision",
    "target": "care_loops_target",
    "boundary": "care_loops_boundary",
    "alert limits": "care_loops_alertlimits",
    "policy": "governance_policyversion",
    "approval": "model_registry_modelapproval",
    "release": "model_registry_modelrelease",
}


@pytest.fixture
def signed(hospital):  # noqa: F811
    """A site in which every signed kind of row stands."""
    loop = hospital.loop_at(LoopState.DELIVERED)
    hospital.boundary(loop.patient)
    by = hospital.acting("clinician", now=LATER)
    sign_alert_limits(loop.patient_id, {LimitName.CRISIS_SYSTOLIC: Decimal(160)}, by=by, now=LATER)
    recall(loop.pk, reason_code="side_effect", free_text="", by=by, now=LATER)
    hospital.order = write_order(loop.patient_id, OrderInput(f"stop:{LISINOPRIL}", "side_effect", ""), by=by, now=LATER)
    commits()
    return hospital


def columns_of(table):
    asked = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
    return dict(sql(f"{asked} AND NOT attisdropped", table))


def copied(table, *, row="signature_id IS NOT NULL", **changed):
    """Insert a copy of a signed row with these columns changed, as the application's own role."""
    columns = columns_of(table)
    if columns["id"] == "uuid":
        changed = {"id": uuid4()} | changed
    else:
        columns.pop("id")
    taken = ", ".join("%s" if name in changed else name for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {taken} FROM {table} WHERE {row} LIMIT 1",
            [changed[name] for name in columns if name in changed],
        )


@pytest.mark.parametrize("kind", TABLES)
def test_a_row_without_a_signature_is_refused_by_the_database(signed, kind):
    with refused("is not signed over this very record|has no quorum over this very version"):
        copied(TABLES[kind], signature_id=None)


@pytest.mark.parametrize("kind", TABLES)
def test_a_signature_copied_from_another_record_is_refused_by_the_database(signed, kind):
    mine = {row for (row,) in sql(f"SELECT signature_id FROM {TABLES[kind]} WHERE signature_id IS NOT NULL")}
    others = Signature.objects.exclude(pk__in=mine)
    for other in others:  # whatever else was signed here, by whomever
        with refused("is not signed over this very record|has no quorum over this very version"):
            copied(TABLES[kind], signature_id=other.pk)
    assert others.count() >= 5


@pytest.mark.parametrize("kind", TABLES)
def test_a_signature_serves_one_row(signed, kind):
    """The same signature under a second row of its own kind: refused by uniqueness, or as over another record."""
    with refused("is not signed over this very record|duplicate key|do not follow version"):
        copied(TABLES[kind])


def test_a_signature_without_evidence_or_by_a_session_is_refused_at_commit(signed):
    for method in ("session", "webauthn", "password_totp", ""):
        with refused("has no evidence"):
            copied_signature(method)


def copied_signature(method):
    columns = columns_of("governance_signature")
    taken = ", ".join("%s" if name in ("id", "method") else name for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO governance_signature ({', '.join(columns)}) SELECT {taken} FROM governance_signature LIMIT 1",
            [uuid4() if name == "id" else method for name in columns if name in ("id", "method")],
        )


@pytest.mark.parametrize("bent", ["record", "nonce", "client_data", "authenticator_data", "public_key", "assertion"])
def test_evidence_that_does_not_answer_to_its_signature_is_refused(signed, bent):
    source = Decision.objects.first().signature
    columns = columns_of("governance_signatureevidence")
    bend = {
        "record": b'{"v":1}',
        "nonce": b"\x00" * 32,
        "client_data": b'{"challenge":"AAAA"}',
        "authenticator_data": b"\x00" * 37,
        "public_key": "AAAA",
        "assertion": b"",
    }[bent]
    values = {"signature_id": uuid4(), bent: bend}
    with refused("does not answer to it|has no evidence|duplicate key"), connection.cursor() as cursor:
        own = columns_of("governance_signature")
        taken = ", ".join("%s" if name == "id" else name for name in own)
        table = "governance_signature"
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(own)}) SELECT {taken} FROM {table} WHERE id = %s",
            [values["signature_id"], source.pk],
        )
        taken = ", ".join("%s" if name in values else name for name in columns)
        cursor.execute(
            f"INSERT INTO governance_signatureevidence ({', '.join(columns)}) SELECT {taken}"
            " FROM governance_signatureevidence WHERE signature_id = %s",
            [*[values[name] for name in columns if name in values], source.pk],
        )


def test_an_order_is_a_decision_that_is_signed(signed):
    decision = Decision.objects.get(loop=signed.order)
    assert decision.signature.method == "webauthn"


@pytest.mark.parametrize("how", ["none", "of the decision", "of another recall"])
def test_a_recall_without_its_own_signature_is_refused_by_the_database(signed, how):
    loop = signed.loop_at(LoopState.DELIVERED)
    step = loop.steps.order_by("-seq").first()
    whose = {
        "none": None,
        "of the decision": loop.decision.signature_id,
        "of another recall": Step.objects.get(state="recalled").signature_id,
    }[how]
    changed = {"seq": step.seq + 1, "before": "delivered", "state": "recalled", "actor_kind": "user"}
    changed |= {"actor_id": str(signed.people["clinician"].pk), "signature_id": whose}
    with refused("is not signed over this very record"):
        copied("care_loops_step", row=f"id = {step.pk}", **changed)
