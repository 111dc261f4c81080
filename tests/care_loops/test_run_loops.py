"""What time makes due: by command, by the worker's tasks, by the relay; and a past recommendation computed again."""

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
from django.utils import timezone

from care_loops import tasks
from care_loops.domain.loops import LoopState
from care_loops.models import Alert, Loop, Message
from config.beat import schedule
from governance.domain import BadInput
from governance.tasks import expire_motions
from tests.factories import NOW, Hospital

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hospital(built):
    return built.once(Hospital)


def run(name, *arguments):
    """A command: its exit status, and what it printed as one JSON object (else nothing)."""
    out = StringIO()
    try:
        call_command(name, *arguments, "--json", stdout=out)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except CommandError as refused:
        code = refused.returncode
    return code, json.loads(out.getvalue()) if out.getvalue() else {}


def turn(now):
    code, said = run("run_loops", "--now", now.isoformat())
    assert code == 0
    return said


def test_a_window_is_closed_when_it_is_due_and_not_twice(hospital):
    patient = hospital.patient()
    hospital.weeks(patient, (150, 92), (151, 93))
    assert turn(NOW)["closed"] == 1
    loop = Loop.objects.get(patient=patient)
    assert loop.state == LoopState.WITH_CLINICIAN
    assert turn(NOW)["closed"] == 0
    assert turn(NOW + timedelta(days=6, hours=23))["closed"] == 0
    assert turn(NOW + timedelta(days=7))["closed"] == 1


def test_what_is_too_old_expires_before_a_new_window_opens(hospital):
    patient = hospital.patient()
    hospital.weeks(patient, (150, 92), (151, 93))
    turn(NOW)
    said = turn(NOW + timedelta(days=7))
    assert (said["expired"], said["closed"]) == (1, 1)
    assert Loop.objects.filter(patient=patient, state=LoopState.EXPIRED.value).count() == 1


def test_an_alert_nobody_took_on_is_passed_on(hospital):
    patient = hospital.patient()
    hospital.measures(patient, 190, 112)
    assert turn(NOW + timedelta(hours=2))["escalated"] == 1
    assert Alert.objects.get(patient=patient, kind="crisis").level == 1


def test_an_open_proposal_is_withdrawn_when_a_limit_ran_out_under_it(hospital):
    patient = hospital.patient(drugs=(("17767", "5"),))
    hospital.mode(patient_directed=True)
    hospital.boundary(patient, ingredient="17767", most="10", lasts=timedelta(days=60, hours=12))
    hospital.weeks(patient, *[(150, 92)] * 5)
    turn(NOW)
    loop = Loop.objects.get(patient=patient)
    assert loop.state == LoopState.WITH_PATIENT
    assert turn(NOW + timedelta(days=1))["withdrawn"] == 1
    loop.refresh_from_db()
    assert (loop.state, loop.steps.latest("seq").reason_code) == (LoopState.WITHDRAWN, "tier_changed")


@pytest.mark.parametrize("text", ["yesterday", "2026-03-30T10:00:00"])
def test_a_time_that_is_no_moment_is_refused(text):
    assert run("run_loops", "--now", text)[0] == 2


def tampered_with(owner_db, loop):
    """Somebody who owns the tables changes what was kept: its triggers off, one word, its triggers on as they were."""
    owner_db.execute(
        "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'care_loops_loop'::regclass AND NOT tgisinternal"
    )
    triggers = owner_db.fetchall()
    for name, _ in triggers:
        owner_db.execute(f"ALTER TABLE care_loops_loop DISABLE TRIGGER {name}")
    owner_db.execute(
        'UPDATE care_loops_loop SET outcome = replace(outcome, \'"tier":"\', \'"tier":"x\') WHERE id = %s', [loop.pk]
    )
    for name, before in triggers:
        how = {"A": "ENABLE ALWAYS", "O": "ENABLE"}[before]
        owner_db.execute(f"ALTER TABLE care_loops_loop {how} TRIGGER {name}")


def test_replay_says_identical_or_names_what_differs(hospital, owner_db):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    assert run("replay", str(loop.pk)) == (0, {
        "loop": str(loop.pk), "identical": True, "first_difference": None, "kept": None, "computed": None,
            "other_version": [],
    })  # fmt: skip
    tampered_with(owner_db, loop)
    code, said = run("replay", str(loop.pk))
    assert (code, said["identical"], said["first_difference"]) == (1, False, "tier")


def test_replay_of_nothing_is_refused():
    assert run("replay", str(uuid4()))[0] == 2
    assert run("replay", "x")[0] == 2


@pytest.fixture
def lately():
    """A hospital of an hour ago: the relay has the machine's own time, and delivers nothing that is past its own."""
    return Hospital(now=timezone.now().replace(microsecond=0) - timedelta(hours=1))


def test_an_approved_change_reaches_the_patient_through_the_relay_once(lately):
    loop = lately.loop_at(LoopState.APPROVED)
    code, said = run("run_relay", "--once")
    assert code == 0
    assert said["sent"] >= 1
    assert (said["failed"], said["parked"]) == (0, 0)
    assert run("run_relay", "--once")[1]["sent"] == 0
    loop.refresh_from_db()
    assert loop.state == LoopState.DELIVERED
    assert Message.objects.filter(loop=loop).count() == 1


def test_the_relay_as_a_program_delivers_and_ends_when_told(lately, database_urls):
    loop = lately.loop_at(LoopState.APPROVED)
    program = subprocess.Popen([sys.executable, "manage.py", "run_relay"], cwd=ROOT, env=os.environ | database_urls)
    try:
        until = time.monotonic() + 60
        while not Message.objects.filter(loop=loop).exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert Message.objects.filter(loop=loop).exists()
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0
    finally:
        program.kill()
        program.wait()


def test_the_clock_hands_out_every_task_by_its_name():
    entries = schedule()
    assert {"escalate-alerts", "expire-loops", "close-due-windows", "look-again", "expire-motions"} <= set(entries)
    ours = {entry["task"] for name, entry in tasks.SCHEDULE.items()}
    named = "escalate expire close_due_windows look_again remind write_waiting_exports expire_exports draw_reviews"
    named += " end_break_glass check_signatures lower_autonomy begin_decide_first place_probes"
    assert ours <= {getattr(tasks, name).name for name in named.split()}


def test_tasks_do_what_the_command_does(hospital, settings):
    """Run here as the worker runs them: by name, with identifiers only, at the machine's own time."""
    settings.CELERY_TASK_ALWAYS_EAGER = True
    patient = hospital.patient()
    for _ in range(2):
        tasks.close_window.apply(args=[str(patient.pk)]).get()
    assert Loop.objects.filter(patient=patient).count() == 1
    assert tasks.expire.apply().get() == 0
    assert tasks.escalate.apply().get() == 0
    assert tasks.look_again.apply().get() == 0
    assert expire_motions.apply().get() == 0
    with pytest.raises(BadInput):
        tasks.close_window.apply(args=["no id"]).get()
