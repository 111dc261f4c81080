"""Who may take what out of the record, by every road; what they see in it; and that a killed worker loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from pypdf import PdfReader

from audit.bundles import Bundle
from audit.bundles.selecting import Report, Selection
from audit.domain import Job, Person, Purpose
from audit.models import Entry, Export
from audit.reports import draw
from audit.selectors import payload_of
from audit.services import export_jobs
from audit.services.export_reading import pseudonym
from audit.services.exporting import Handing, export_bundle
from audit.services.genesis import found_log
from care_loops.domain.loops import LoopState
from care_loops.models import Loop
from care_loops.selectors.exports import ExportRequest, export_state, list_exports, reports_for
from care_loops.services import record_access
from care_loops.services.exports import (
    CannotExport,
    ask_for_export,
    expire_exports,
    hand_out_export,
    make_export,
    run_export,
    waiting_exports,
)
from care_loops.tasks import write_export
from governance.domain import BadInput, NotAllowed, NotFound, Role
from governance.services.accounts import revoke_role
from tests.audit.builders import complete
from tests.audit.outside import verdict
from tests.factories import NOW, Hospital

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
LATER = NOW + timedelta(hours=2)


@pytest.fixture(autouse=True)
def quick(settings, tmp_path):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.AUDIT_EXPORTS_DIR = tmp_path / "exports"


@pytest.fixture
def site():
    """A hospital with an auditor, a patient whose change was delivered, and another patient of another team."""
    found_log(by=Job("sequencer", "1"), now=NOW)
    hospital = Hospital()
    hospital.join("auditor", Role.AUDITOR, now=NOW - timedelta(days=300))
    hospital.join("officer", Role.COMPLIANCE_OFFICER, now=NOW - timedelta(days=300))
    loop = hospital.loop_at(LoopState.DELIVERED)
    hospital.loop, hospital.mary = loop, loop.patient
    hospital.other = hospital.patient("otto", team=("other_clinician",))
    record_access(hospital.mary.pk, what="summary", by=hospital.acting("clinician"), now=NOW)
    complete()
    return hospital


def mary_of(site):
    """The account name of the patient."""
    return next(name for name, user in site.people.items() if user.pk == site.mary.account_id)


def made(site, who, request, tmp_path, **how):
    """The export, made at once, bundle only."""
    return make_export(request, folder=tmp_path, by=site.acting(who), now=LATER, drawn=False, **how).bundle


def history(patient):
    return ExportRequest(Report.DECISION_HISTORY, patient=patient.pk)


def all_requests(site):
    """One request of every report, about Mary where it is about somebody."""
    return {
        Report.EVERYTHING: ExportRequest(Report.EVERYTHING),
        Report.DECISION_HISTORY: history(site.mary),
        Report.ACCESS: ExportRequest(Report.ACCESS, patient=site.mary.pk),
        Report.DISCLOSURES: ExportRequest(Report.DISCLOSURES, patient=site.mary.pk),
        Report.MODEL: ExportRequest(Report.MODEL, model=f"{site.loop.model_name}@{site.loop.model_version}"),
        Report.PERSON: ExportRequest(Report.PERSON, person="clinician"),
        Report.PERIOD: ExportRequest(Report.PERIOD, since=NOW - timedelta(days=9000)),
        Report.DECISION: ExportRequest(Report.DECISION, decision=site.loop.pk),
    }


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


def test_an_export_is_a_disclosure_and_stands_in_the_accounting(site, tmp_path):
    court = ExportRequest(Report.DECISION_HISTORY, patient=site.mary.pk, purpose=Purpose.LEGAL, recipient="The court")
    made(site, "clinician", court, tmp_path)
    made(site, "clinician", history(site.mary), tmp_path)  # for treatment: needs no accounting
    complete()
    accounting = made(site, mary_of(site), ExportRequest(Report.DISCLOSURES, patient=site.mary.pk), tmp_path)
    with Bundle.open(accounting.path) as bundle:
        listed = [payload.said() for payload in bundle.payloads()]
    assert [each["recipient"] for each in listed if "recipient" in each] == ["The court"]


# --- by a worker ------------------------------------------------------------------------------------------------------


def test_a_worker_writes_what_was_asked_for_and_only_who_asked_is_handed_it(site):
    auditor = site.acting("auditor")
    asked = ask_for_export(ExportRequest(Report.PERSON, person="clinician"), by=auditor, now=LATER)
    assert export_state(asked, by=auditor).state == "asked"
    with pytest.raises(CannotExport) as refused:
        hand_out_export(asked, by=auditor, now=LATER)
    assert refused.value.code == "not_ready"
    assert waiting_exports() == [asked]
    assert run_export(asked, now=LATER) is True
    assert waiting_exports() == []
    state = export_state(asked, by=auditor)
    assert (state.state, state.done, state.entries) == ("done", state.total, state.total)
    path = hand_out_export(asked, by=auditor, now=LATER)
    with Bundle.open(path) as bundle:
        assert bundle.manifest.kind == "person"
    report = hand_out_export(asked, by=auditor, now=LATER, report=True)
    assert report.read_bytes().startswith(b"%PDF-")
    assert verdict(report)[0] == verdict(path)[0] == 0
    complete()
    kinds = list(Entry.objects.filter(object_type="export").order_by("position").values_list("type", "object_version"))
    assert kinds == [("export.asked", 1), ("export.made", 2), ("export.handed_out", 3), ("export.handed_out", 4)]
    assert {x.id for x in list_exports(by=site.acting("officer"))} == {asked}
    assert list_exports(by=site.acting("clinician")) == []
    for other in ("officer", "clinician", "engineer"):
        with pytest.raises(NotFound):
            hand_out_export(asked, by=site.acting(other), now=LATER)
    with pytest.raises(NotFound):
        export_state(asked, by=site.acting("clinician"))


def test_a_role_lost_in_between_ends_it(site):
    auditor = site.acting("auditor")
    waiting = ask_for_export(ExportRequest(Report.EVERYTHING), by=auditor, now=LATER)
    done = ask_for_export(ExportRequest(Report.PERSON, person="clinician"), by=auditor, now=LATER)
    assert run_export(done, now=LATER)
    revoke_role(site.people["auditor"].pk, Role.AUDITOR, by=site.acting("admin"), now=LATER)
    assert run_export(waiting, now=LATER + timedelta(minutes=1)) is False
    assert Export.objects.get(pk=waiting).error == "not_allowed"
    with pytest.raises(NotAllowed):
        hand_out_export(done, by=site.acting("auditor", now=LATER + timedelta(hours=1)), now=LATER + timedelta(hours=1))


def test_a_changed_or_lost_file_is_not_handed_out_and_an_old_one_goes(site):
    auditor = site.acting("auditor")
    asked = ask_for_export(ExportRequest(Report.PERSON, person="clinician"), by=auditor, now=LATER)
    run_export(asked, now=LATER)
    for report in (False, True):
        path = export_jobs.file_of(asked, report=report)
        assert path.stat().st_mode & 0o077 == 0
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + b"?")
        with pytest.raises(CannotExport) as refused:
            hand_out_export(asked, by=auditor, now=LATER, report=report)
        assert refused.value.code == "file_changed"
        path.write_bytes(whole)
    assert expire_exports(now=LATER + timedelta(days=6)) == 0
    assert expire_exports(now=LATER + timedelta(days=8)) == 1
    assert list(path.parent.iterdir()) == []
    with pytest.raises(CannotExport) as refused:
        hand_out_export(asked, by=auditor, now=LATER)
    assert refused.value.code == "expired"


def test_two_workers_do_not_write_one_export(site):
    asked = ask_for_export(ExportRequest(Report.EVERYTHING), by=site.acting("auditor"), now=LATER)
    with export_jobs.at_work(asked, now=LATER) as work:
        assert work is not None
        assert run_export(asked, now=LATER) is False
    assert run_export(asked, now=LATER) is True
    assert run_export(asked, now=LATER) is False  # it is there


DYING = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django; django.setup()
from pathlib import Path
from django.conf import settings
from django.utils import timezone
settings.AUDIT_EXPORTS_DIR = Path(sys.argv[2])
from uuid import UUID
from audit.services import export_jobs
from care_loops.services.exports import run_export
def stop(self, done, total):
    print("working", flush=True)
    import time; time.sleep(60)
export_jobs.Work.progress = stop
run_export(UUID(sys.argv[1]), now=timezone.now())
"""


def test_an_export_whose_worker_was_killed_is_begun_again(site, settings, database_urls):
    asked = ask_for_export(ExportRequest(Report.EVERYTHING), by=site.acting("auditor"), now=LATER)
    folder = export_jobs.exports_dir()
    command = [sys.executable, "-c", DYING, str(asked), str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **database_urls}, text=True)
    assert child.stdout.readline().strip() == "working"
    assert run_export(asked, now=LATER) is False, "somebody is at it"
    assert Export.objects.get(pk=asked).state == "running"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert waiting_exports() == [asked]
    deadline = time.monotonic() + 30
    while not run_export(asked, now=LATER):  # until the server has seen that the session is gone
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert Export.objects.get(pk=asked).attempts == 2
    with Bundle.open(export_jobs.file_of(asked)) as bundle:
        bundle.check_members()


def test_an_export_that_keeps_dying_is_given_up(site, monkeypatch):
    asked = ask_for_export(ExportRequest(Report.EVERYTHING), by=site.acting("auditor"), now=LATER)

    def full(self, done, total):
        raise OSError("the disk is full")

    monkeypatch.setattr(export_jobs.Work, "progress", full)
    for _ in range(export_jobs.MAX_ATTEMPTS):
        with pytest.raises(OSError, match="full"):
            run_export(asked, now=LATER)
        assert not export_jobs.file_of(asked).exists()
    assert run_export(asked, now=LATER) is False
    state = export_state(asked, by=site.acting("auditor"))
    assert (state.state, state.error) == ("failed", "gave_up")
    assert list(export_jobs.exports_dir().iterdir()) == []


# --- on the shell -----------------------------------------------------------------------------------------------------


def command(*arguments):
    """(the JSON it prints, what it says on the way)"""
    out, err = StringIO(), StringIO()
    call_command("export_audit", *arguments, "--json", stdout=out, stderr=err)
    return json.loads(out.getvalue()), err.getvalue()


def test_the_command_writes_a_bundle_and_a_report_and_says_how_far_it_is(site, tmp_path):
    said, progress = command("--out", str(tmp_path), "--as", "clinician", "--patient", str(site.mary.pk))
    assert said["kind"] == "patient"
    assert said["report"] == "decision_history"
    with Bundle.open(Path(said["bundle"])) as bundle:
        assert bundle.manifest.entries == said["entries"]
    assert Path(said["pdf"]).read_bytes().startswith(b"%PDF-")
    assert f"{said['entries']} of {said['entries']} entries" in progress


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--as", "engineer"), "not_allowed"),
        (("--as", "nobody-here"), "not_found"),
        (("--as", "clinician", "--patient", str(uuid4())), "not_found"),
        (("--as", "auditor", "--patient", "not-an-id"), "not the identifier"),
        (("--as", "auditor", "--from", "yesterday"), "not a time"),
        (("--as", "auditor", "--from", "2026-01-02", "--to", "2026-01-01"), "bad_input"),
        (("--as", "auditor", "--to", "1999-01-01"), "nothing_selected"),
        (("--as", "auditor", "--model", "x@1"), "not_found"),
        (("--as", "auditor", "--report", "access"), "bad_input"),
    ],
)
def test_the_command_refuses_by_name_and_writes_nothing(site, tmp_path, arguments, code):
    with pytest.raises(CommandError, match=code) as refused:
        command("--out", str(tmp_path), *arguments)
    assert refused.value.returncode == 2
    assert [path for path in tmp_path.iterdir() if path.name != "exports"] == []


def test_a_refused_export_on_the_shell_is_recorded(site, tmp_path):
    with pytest.raises(CommandError):
        command("--out", str(tmp_path), "--as", "engineer")
    complete()
    denied = Entry.objects.get(type="access.denied", object_type="export")
    assert denied.actor_id == str(site.people["engineer"].pk)
    assert payload_of(denied.entry_id) == {"what": "export_audit everything"}
