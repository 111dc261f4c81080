"""An export made by a worker or on the shell: a killed worker loses nothing, and what is refused writes nothing."""

import json
import os
import resource
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

from audit.bundles import Bundle
from audit.bundles.selecting import Report
from audit.models import Entry, Export
from audit.selectors import payload_of
from audit.services import export_jobs
from care_loops.selectors.exports import ExportRequest, export_state, list_exports
from care_loops.services.exports import (
    CannotExport,
    ask_for_export,
    expire_exports,
    hand_out_export,
    run_export,
    waiting_exports,
)
from governance.domain import NotAllowed, NotFound, Role
from governance.services.accounts import revoke_role
from tests.audit.builders import complete
from tests.audit.outside import verdict
from tests.care_loops.exports.asking import LATER

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


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


def test_an_export_that_keeps_dying_is_given_up(site):
    """As on a full disk: no file may grow beyond 4,096 bytes while the worker writes. Python ignores the signal."""
    asked = ask_for_export(ExportRequest(Report.EVERYTHING), by=site.acting("auditor"), now=LATER)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(export_jobs.MAX_ATTEMPTS):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, usual[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                run_export(asked, now=LATER)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)
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
        (("--as", "auditor", "--purpose", "treatment"), "bad_input: Nobody exports for 'treatment' as auditor"),
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
