"""What people signed here is verified outside, from an export alone; what nobody signed is found (SECURITY 2.1 T21)."""

import json
import os
from dataclasses import replace
from datetime import timedelta
from zipfile import ZipFile

import pytest
from django.db import DatabaseError, connections, transaction

from audit.bundles.selecting import Report
from audit.domain import Esign, Event, Job, ObjectRef, Person
from audit.selectors import next_version
from audit.services import append
from audit.services.genesis import found_log
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.models import Boundary, Decision
from care_loops.selectors.exports import ExportRequest
from care_loops.services import DecisionInput, decide, recall
from care_loops.services.exports import make_export
from care_loops.services.modes import set_operating_mode
from governance.domain import Role
from governance.models import PolicyVersion, Signature
from governance.services.signing import SignatureNeeded
from governance.tiers import OperatingMode
from models.registry.models import ModelApproval, ModelRelease, ModelVersion
from tests.audit.builders import complete
from tests.audit.outside import verdict
from tests.factories import NOW, Hospital

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
LATER = NOW + timedelta(hours=2)


@pytest.fixture(autouse=True)
def quick(settings, tmp_path):
    settings.AUDIT_EXPORTS_DIR = tmp_path / "exports"


def signed() -> Hospital:
    """A hospital in which one of each signed kind was signed: a boundary, an order's like decision, a recall."""
    found_log(by=Job("sequencer", "1"), now=NOW)
    hospital = Hospital()
    hospital.join("auditor", Role.AUDITOR, now=NOW - timedelta(days=300))
    hospital.loop = hospital.loop_at(LoopState.DELIVERED)
    hospital.boundary(hospital.loop.patient)
    by = hospital.acting("clinician", now=LATER)
    recall(hospital.loop.pk, reason_code="side_effect", free_text="", by=by, now=LATER)
    return hospital


@pytest.fixture
def site(built) -> Hospital:
    return built.once(signed)


def export(site, tmp_path, request=None, *, who="auditor"):
    complete()
    request = request or ExportRequest(Report.EVERYTHING)
    return make_export(request, folder=tmp_path, by=site.acting(who), now=LATER, drawn=False).bundle.path


def lines(bundle, member):
    with ZipFile(bundle) as archive:
        return [json.loads(line) for line in archive.read(member).splitlines()]


def test_every_signature_of_the_site_is_verified_from_the_bundle_alone(site, tmp_path):
    bundle = export(site, tmp_path)
    status, said = verdict(bundle)
    assert status in (0, 3), said
    made = Signature.objects.count()
    assert made >= 8
    assert set(Signature.objects.values_list("method", flat=True)) == {"webauthn"}
    # each stands twice in the log: where it was made, and at the act it serves
    assert said["signatures"]["webauthn"] == 2 * made
    assert said["signatures"]["session"] == 0
    of_the_site = ["puts this forward", "approves this", "approves this model", "releases this model"]
    of_the_site += ["puts this evidence forward", "raises this model to this level"]
    about_nobody = Signature.objects.filter(meaning__in=of_the_site)
    assert said["signatures"]["content_shown"] == about_nobody.count() == 8  # an auditor reads no patient's record
    assert len(lines(bundle, "assertions.jsonl")) == made


@pytest.mark.parametrize(
    "report", [Report.DECISION, Report.DECISION_HISTORY, Report.MODEL, Report.PERIOD, Report.PERSON]
)
def test_a_part_of_the_record_carries_the_evidence_of_its_own_acts(site, tmp_path, report):
    requests = {
        Report.DECISION: ExportRequest(report, decision=site.loop.pk),
        Report.DECISION_HISTORY: ExportRequest(report, patient=site.loop.patient.pk),
        Report.MODEL: ExportRequest(report, model=f"{site.loop.model_name}@{site.loop.model_version}"),
        Report.PERIOD: ExportRequest(report, since=NOW - timedelta(days=9000)),
        Report.PERSON: ExportRequest(report, person="clinician"),
    }
    bundle = export(site, tmp_path, requests[report])
    status, said = verdict(bundle)
    assert status in (0, 3), said
    assert said["signatures"]["webauthn"] >= 2


def test_the_signed_content_of_a_decision_is_shown_to_who_may_read_it_and_is_what_was_recorded(site, tmp_path):
    decision = Decision.objects.get(loop=site.loop)
    bundle = export(site, tmp_path, ExportRequest(Report.DECISION, decision=site.loop.pk), who="clinician")
    evidence = {line["entry"]: line for line in lines(bundle, "assertions.jsonl")}[str(decision.signature.entry)]
    content = json.loads(evidence["content"])
    assert (content["recommendation"], content["decision"]) == (str(site.loop.pk), "approve")
    assert json.loads(evidence["record"])["object"]["id"] == str(site.loop.pk)


# -- forged by who has the database and the log's key -----------------------------------------------------------------


def forged_entry(site, esign, *, kind="recommendation.approved", object_type="recommendation"):
    """A perfect-looking approval, written as only somebody inside could."""
    clinician = site.people["clinician"]
    key = str(site.loop.pk)
    with transaction.atomic():
        return append(
            Event(
                type=kind,
                occurred_at=LATER,
                actor=Person(id=str(clinician.pk), role="clinician", amr=("passkey",)),
                object=ObjectRef(type=object_type, id=key, version=next_version(object_type, key)),
                subject=str(site.loop.patient_id),
                esign=esign,
                payload={"decision": "approve"},
            )
        )


def real_esign(site):
    row = Decision.objects.get(loop=site.loop).signature
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT leaf FROM audit_pending WHERE entry_id = %s", [row.entry])
        found = cursor.fetchone()
        if found is None:
            cursor.execute("SELECT leaf FROM audit_entry WHERE entry_id = %s", [row.entry])
            found = cursor.fetchone()
    said = json.loads(bytes(found[0]).split(b"\n", 2)[2])["esign"]
    return Esign(**said)


FORGED = {
    "no evidence": lambda real: replace(real, assertion_sha256=os.urandom(32).hex()),
    "the evidence of another decision": lambda real: real,
    "another record under the same assertion": lambda real: replace(real, record=os.urandom(32).hex()),
    "no assertion at all": lambda real: replace(real, assertion_sha256=None, key_id=None),
}


@pytest.mark.parametrize("how", FORGED)
def test_an_approval_that_nobody_signed_is_found_though_the_log_is_signed_over_it(site, tmp_path, how):
    forged_entry(site, FORGED[how](real_esign(site)))
    status, said = verdict(export(site, tmp_path))
    assert status == 1
    assert said["failure"]["class"].startswith("esign"), said


def test_without_the_forgery_the_same_log_holds(site, tmp_path):
    """The defect is the forgery: the same entry that claims no more than the application's word is no failure."""
    forged_entry(site, replace(real_esign(site), method="password_totp", assertion_sha256=None))
    status, said = verdict(export(site, tmp_path))
    assert status in (0, 3), said
    assert said["signatures"]["password_totp"] == 1


def test_a_signature_row_that_is_changed_afterwards_is_found(site, tmp_path):
    """A superuser rewrites the evidence under the decision: another record, kept in the same form."""
    decision = Decision.objects.get(loop=site.loop)
    record = json.loads(bytes(decision.signature.evidence.record))
    other = json.dumps(
        record | {"meaning": "prescribes another change than proposed"}, separators=(",", ":"), sort_keys=True
    )
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE governance_signatureevidence DISABLE TRIGGER USER")
        try:
            cursor.execute(
                "UPDATE governance_signatureevidence SET record = %s WHERE signature_id = %s",
                [other.encode(), decision.signature_id],
            )
        finally:
            cursor.execute("ALTER TABLE governance_signatureevidence ENABLE TRIGGER USER")
    status, said = verdict(export(site, tmp_path))
    assert (status, said["failure"]["class"]) == (1, "esign-record")


# -- no row without its signature -------------------------------------------------------------------------------------

SIGNED = [Decision, Boundary, PolicyVersion, ModelApproval, ModelRelease]


def test_no_signature_by_a_session_is_written_any_more(site):
    by = site.acting("admin", now=LATER)
    set_operating_mode(
        OperatingMode.OFF, patient_directed=False, stopped=True, daily_patient_quota=0, reason="x", by=by, now=LATER
    )
    assert not Signature.objects.exclude(method__in=["webauthn", "password_totp"]).exists()
    for table in SIGNED:
        assert table.objects.exists()
        assert not table.objects.filter(signature__isnull=True).exists()


def test_a_decision_without_a_signature_is_not_taken(site):
    patient = site.patient("again")
    site.weeks(patient, *[(150, 92)] * 5)
    loop = site.close(patient)
    by = replace(site.acting("clinician"), hand=None)
    with pytest.raises(SignatureNeeded):
        decide(loop.pk, DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", loop.version), by=by, now=NOW)
    assert not Decision.objects.filter(loop=loop).exists()


def test_a_predictor_is_not_put_to_work_without_a_release_of_this_very_moment(site):
    serving = ModelVersion.objects.get(active=True)
    rows = ModelVersion.objects.filter(pk=serving.pk)
    with transaction.atomic():
        rows.update(active=False)
        with pytest.raises(DatabaseError, match="without a signed release"), transaction.atomic():
            rows.update(active=True)
        transaction.set_rollback(True)
