"""Who may take what out of the record, by every road, and what they see in it."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connections
from pypdf import PdfReader

from audit.bundles import Bundle
from audit.bundles.selecting import Report, Selection
from audit.domain import Person, Purpose
from audit.reports import draw
from audit.selectors import payload_of
from audit.services import export_jobs
from audit.services.export_reading import pseudonym
from audit.services.exporting import Handing, export_bundle
from care_loops.models import Loop
from care_loops.selectors.exports import ExportRequest, purposes_for, reports_for
from care_loops.services.exports import CannotExport, ask_for_export
from care_loops.tasks import write_export
from governance.domain import BadInput, NotAllowed, NotFound, Role
from tests.audit.builders import complete
from tests.care_loops.exports.asking import LATER, all_requests, history, made, mary_of
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


# --- who may ----------------------------------------------------------------------------------------------------------

EVERY = frozenset(Report)
ABOUT_MARY = {Report.DECISION_HISTORY, Report.DECISION}
MAY = {
    "auditor": EVERY,
    "officer": EVERY,
    "clinician": ABOUT_MARY,
    "other_clinician": frozenset(),
    "pharmacist": frozenset(),
    "engineer": frozenset(),
    "admin": frozenset(),
    "mary": {Report.ACCESS, Report.DISCLOSURES},
    "otto": frozenset(),
}


def test_each_person_may_ask_for_what_the_table_says_and_nothing_else(site):
    """By asking, and by a job that was smuggled into the table: the worker asks again."""
    for who, allowed in MAY.items():
        name = mary_of(site) if who == "mary" else who
        for report, request in all_requests(site).items():
            if report in allowed:
                ask_for_export(request, by=site.acting(name), now=LATER)
                continue
            with pytest.raises((NotAllowed, NotFound)):
                ask_for_export(request, by=site.acting(name), now=LATER)
            smuggled = {"purpose": Purpose.TREATMENT, "recipient": "me", "now": LATER}
            forged = export_jobs.ask(report.value, request.identifiers(), by=site.acting(name).actor, **smuggled)
            assert write_export(str(forged)) is False
            state = export_jobs.find(forged)
            assert state.state == "failed"
            assert state.error in {"not_allowed", "not_found"}
            assert not export_jobs.file_of(forged).exists()


@pytest.mark.parametrize("who", ["clinician", "other_clinician", "auditor"])
def test_a_foreign_patient_and_none_at_all_get_the_same_words(site, who, tmp_path):
    foreign = {"clinician": site.other.pk, "other_clinician": site.mary.pk, "auditor": uuid4()}[who]
    said = set()
    for patient_id in (foreign, uuid4()):
        with pytest.raises(NotFound) as refused:
            made(site, who, ExportRequest(Report.DECISION_HISTORY, patient=patient_id), tmp_path)
        said.add((refused.value.code, refused.value.detail))
    assert len(said) == 1
    foreign_loop = Loop.objects.filter(patient=site.mary).first().pk
    if who != "other_clinician":
        return
    for loop_id in (foreign_loop, uuid4()):
        with pytest.raises(NotFound) as refused:
            made(site, who, ExportRequest(Report.DECISION, decision=loop_id), tmp_path)
        said.add((refused.value.code, refused.value.detail))
    assert len(said) == 1


def test_a_page_offers_what_can_be_asked_for(site):
    assert set(reports_for(by=site.acting("auditor"))) == set(Report)
    assert set(reports_for(by=site.acting(mary_of(site)))) == {Report.ACCESS, Report.DISCLOSURES}
    assert reports_for(by=site.acting("engineer")) == ()


@pytest.mark.parametrize(
    "request_",
    [
        ExportRequest(Report.DECISION_HISTORY),
        ExportRequest(Report.PERIOD),
        ExportRequest(Report.EVERYTHING, person="clinician"),
        ExportRequest(Report.PERIOD, since=NOW, until=NOW),
        ExportRequest(Report.PERIOD, since=NOW.replace(tzinfo=None)),
        ExportRequest(Report.PERSON, person="clinician", recipient="x" * 201),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(site, request_, tmp_path):
    with pytest.raises(BadInput):
        made(site, "auditor", request_, tmp_path)


def test_nothing_there_is_refused_by_name(site, tmp_path):
    for request, code in (
        (ExportRequest(Report.PERIOD, until=NOW - timedelta(days=9000)), "nothing_selected"),
        (ExportRequest(Report.DISCLOSURES, patient=site.mary.pk), "nothing_selected"),
    ):
        with pytest.raises(CannotExport) as refused:
            made(site, "auditor", request, tmp_path)
        assert refused.value.code == code
    for request in (ExportRequest(Report.MODEL, model="nothing@1"), ExportRequest(Report.PERSON, person="nobody")):
        with pytest.raises(NotFound):
            made(site, "auditor", request, tmp_path)
    assert list(tmp_path.glob("*.zip")) == []


# --- what they see ----------------------------------------------------------------------------------------------------


def shown(path):
    """(entries by id, ids of entries whose payload is shown)"""
    with Bundle.open(path) as bundle:
        return {e.entry["id"]: e.entry for e in bundle.entries()}, {str(p.entry_id) for p in bundle.payloads()}


def test_an_auditor_sees_every_entry_and_no_patient_s_data(site, tmp_path):
    bundle = made(site, "auditor", ExportRequest(Report.EVERYTHING), tmp_path)
    entries, payloads = shown(bundle.path)
    about_patients = {key for key, entry in entries.items() if "subject" in entry and "payload" in entry}
    assert len(about_patients) > 50
    assert not payloads & about_patients
    assert payloads, "what shows no patient is shown"
    assert bundle.manifest.payloads.withheld >= len(about_patients)
    assert bundle.manifest.batches == 0
    raw = bundle.path.read_bytes()
    with Bundle.open(bundle.path) as opened:
        text = "".join(payload.body.decode() for payload in opened.payloads())
    assert str(site.mary.pk) not in text
    assert b"amlodipine" not in raw


def test_a_clinician_sees_all_of_their_own_patient_and_nothing_of_another(site, tmp_path):
    bundle = made(site, "clinician", history(site.mary), tmp_path)
    entries, payloads = shown(bundle.path)
    mine = pseudonym(site.mary.pk)
    assert {key for key, entry in entries.items() if "payload" in entry and entry.get("subject") == mine} <= payloads
    assert {entry.get("subject") for entry in entries.values()} <= {mine, None}
    assert bundle.manifest.payloads.withheld == 0
    assert bundle.manifest.batches > 0
    assert bundle.manifest.complete_objects


def test_an_auditor_who_is_in_the_care_team_too_sees_that_patient(site, tmp_path):
    site.also("clinician", Role.AUDITOR)
    bundle = made(site, "clinician", ExportRequest(Report.EVERYTHING), tmp_path)
    entries, payloads = shown(bundle.path)
    of = {entries[key]["subject"] for key in payloads if "subject" in entries[key]}
    assert pseudonym(site.mary.pk) in of
    assert pseudonym(site.other.pk) not in of


def test_a_patient_reads_who_looked_and_who_was_refused(site, tmp_path, client):
    client.force_login(site.people["other_clinician"])
    assert client.get(f"/patients/{site.mary.pk}/").status_code in (302, 403, 404)
    complete()
    bundle = made(site, mary_of(site), ExportRequest(Report.ACCESS, patient=site.mary.pk), tmp_path)
    entries, payloads = shown(bundle.path)
    kinds = {entry["type"] for entry in entries.values() if entry["object"]["type"] != "log"}
    assert kinds <= {"access.read", "access.denied"}
    assert "access.read" in kinds
    looked = next(e for e in entries.values() if e["type"] == "access.read")
    assert looked["actor"]["id"] == str(site.people["clinician"].pk)
    assert looked["id"] in payloads


def test_a_decision_comes_with_what_it_rests_on(site, tmp_path):
    bundle = made(site, "clinician", ExportRequest(Report.DECISION, decision=site.loop.pk), tmp_path)
    entries, _ = shown(bundle.path)
    objects = {entry["object"]["type"] for entry in entries.values()}
    assert {"recommendation", "signature", "policy", "model", "patient"} <= objects
    states = [e["type"] for e in entries.values() if e["object"]["type"] == "recommendation"]
    assert states[0] == "recommendation.proposed"
    assert "recommendation.approved" in states
    assert bundle.manifest.chosen("decision") == str(site.loop.pk)


def test_the_manifest_names_staff_whose_acts_the_reader_sees_and_the_report_prints_them(site, settings, tmp_path):
    admin, account = site.people["admin"], site.mary.account_id
    admin.first_name, admin.last_name = "Ad\u00e1", "Li de la Cruz"
    admin.save()
    key = f"name_{str(admin.pk).replace('-', '_')}"
    settings.PUBLIC_URL = "https://ward.example/"
    bundle = made(site, "clinician", history(site.mary), tmp_path)
    said = dict(bundle.manifest.filter)
    assert (said[key], said["synthetic"]) == ("Ad\u00e1 Li de la Cruz", "yes")
    assert said["verify_url"] == "https://ward.example/audit/verify/"
    assert f"name_{str(account).replace('-', '_')}" not in said  # a patient is named by nobody
    with (tmp_path / "report.pdf").open("wb") as out:
        draw(bundle.path, out)
    texts = [page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages]
    assert "Ad\u00e1Lidela" in "".join("".join(texts).split())
    asked = payload_of(bundle.entry.entry_id)["filter"]
    assert key not in asked
    assert asked["subject"] == pseudonym(site.mary.pk)
    complete()
    hidden = _hidden_names(site, tmp_path)
    assert hidden == {}, "who may see no act of anybody is given no name"


def _hidden_names(site, tmp_path) -> dict[str, str]:
    out, handing = tmp_path / "hidden.zip", Handing(Purpose.AUDIT, recipient="Nobody")
    actor = site.acting("auditor").person()
    by = Person(str(actor.pk), "auditor", session="s")
    bundle = export_bundle(
        Selection(Report.EVERYTHING), may_read=lambda _: False, by=by, now=LATER, out=out, handing=handing
    )
    return {name: said for name, said in bundle.manifest.filter if name.startswith("name_")}


def test_a_record_of_somebody_who_lives_is_not_called_synthetic(site, tmp_path):
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE care_loops_patient SET synthetic = false WHERE id = %s", [site.other.pk])
    assert made(site, "clinician", history(site.mary), tmp_path).manifest.chosen("synthetic") == "yes"
    for who, request in (
        ("other_clinician", history(site.other)),
        ("auditor", ExportRequest(Report.EVERYTHING)),
        ("auditor", ExportRequest(Report.PERIOD, since=NOW - timedelta(days=9000))),
    ):
        assert made(site, who, request, tmp_path).manifest.chosen("synthetic") is None


def test_each_role_exports_for_the_purposes_it_can_have_and_another_is_refused_by_name(site, tmp_path):
    """By asking, at once on the shell, and by a job that was smuggled into the table: the worker asks again."""
    everything, period = ExportRequest(Report.EVERYTHING), {"since": (NOW - timedelta(days=9000)).isoformat()}
    for who, request, unfit in (
        ("auditor", everything, {Purpose.TREATMENT, Purpose.BREAK_GLASS, Purpose.RESEARCH}),
        ("officer", everything, {Purpose.TREATMENT, Purpose.BREAK_GLASS}),
        ("clinician", history(site.mary), {Purpose.AUDIT, Purpose.BREAK_GLASS, Purpose.RESEARCH}),
        (mary_of(site), ExportRequest(Report.ACCESS, patient=site.mary.pk), set(Purpose) - {Purpose.PATIENT_REQUEST}),
    ):
        offered = purposes_for(request.report, by=site.acting(who))
        assert offered
        assert not set(offered) & unfit
        for purpose in unfit:
            asked = replace(request, purpose=purpose)
            for ask in (
                lambda asked=asked, who=who: ask_for_export(asked, by=site.acting(who), now=LATER),
                lambda asked=asked, who=who: made(site, who, asked, tmp_path),
            ):
                with pytest.raises(BadInput, match=purpose.value) as refused:
                    ask()
                assert refused.value.extra["field"] == "purpose"
                assert set(refused.value.extra["known"]) == {one.value for one in offered}
    forged = export_jobs.ask(
        "period", period, purpose=Purpose.TREATMENT, recipient="me", by=site.acting("auditor").actor, now=LATER
    )
    assert write_export(str(forged)) is False
    assert (export_jobs.find(forged).error, export_jobs.file_of(forged).exists()) == ("bad_input", False)


def test_an_export_is_a_disclosure_and_stands_in_the_accounting(site, tmp_path):
    court = ExportRequest(Report.DECISION_HISTORY, patient=site.mary.pk, purpose=Purpose.LEGAL, recipient="The court")
    made(site, "clinician", court, tmp_path)
    made(site, "clinician", history(site.mary), tmp_path)  # for treatment: needs no accounting
    complete()
    accounting = made(site, mary_of(site), ExportRequest(Report.DISCLOSURES, patient=site.mary.pk), tmp_path)
    with Bundle.open(accounting.path) as bundle:
        listed = [payload.said() for payload in bundle.payloads()]
    assert [each["recipient"] for each in listed if "recipient" in each] == ["The court"]
