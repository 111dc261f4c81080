"""A patient's access report shows who opened their record in an emergency, why, and all that was read under it."""

from __future__ import annotations

import json
import zipfile
from datetime import timedelta

import pytest

from audit.bundles.selecting import Report
from care_loops.selectors.exports import ExportRequest
from care_loops.services import record_access
from care_loops.services.break_glass import break_glass
from governance.domain import Amr, Presence, Role
from governance.services import acting_person
from tests.audit.builders import complete
from tests.care_loops.exports.asking import made, mary_of
from tests.signing_in import signing

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


def test_the_patient_sees_the_opening_its_reason_and_every_read_under_it(site, tmp_path):
    at = site.now + timedelta(hours=2)
    site.join("officer_of_glass", Role.COMPLIANCE_OFFICER, now=site.now)
    doctor = site.people["other_clinician"]
    here = Presence(session="in the ambulance", amr=(Amr.PASSKEY.value,), since=at)
    by = signing(acting_person(doctor, now=at, presence=here))
    opening = break_glass(site.mary.pk, reason_code="emergency_treatment", text="found unconscious", by=by, now=at)
    record_access(site.mary.pk, what="patient page", by=by, now=at)
    complete()
    bundle = made(site, mary_of(site), ExportRequest(Report.ACCESS, patient=site.mary.pk), tmp_path)
    with zipfile.ZipFile(bundle.path) as file:
        lines = file.read("entries.jsonl").decode().splitlines()
        payloads = {json.loads(line)["entry"] for line in file.read("payloads.jsonl").decode().splitlines()}
    entries = [json.loads(line.split(" ", 1)[1]) for line in lines]
    told = [entry for entry in entries if entry["type"] == "access.break_glass"]
    assert [(entry["actor"]["id"], entry["reason_code"]) for entry in told] == [(str(doctor.pk), "emergency_treatment")]
    assert told[0]["id"] in payloads
    looks = [entry for entry in entries if entry["type"] == "access.read"]
    reads = [entry for entry in looks if entry["purpose"] == "break_glass"]
    assert [entry["break_glass_id"] for entry in reads] == [str(opening.pk)]
