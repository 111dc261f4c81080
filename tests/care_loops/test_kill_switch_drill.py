"""The switch takes effect at the next act of every worker: several processes, each with its own connection (FAL-03)."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from audit.models import Pending
from care_loops.domain.loops import LoopState
from governance.domain import Role
from governance.models import Suspension
from governance.selectors.suspensions import standing
from governance.services.suspensions import ask_end, end_suspension, throw_switch
from governance.suspension import EVERYTHING
from tests.factories import NOW, Hospital

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)
WORKERS = 3


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(Hospital)


@pytest.fixture
def workers(hospital, database_urls):
    """Real processes that act when told to."""
    command = [sys.executable, "-m", "tests.care_loops.switch_worker"]
    made = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=settings.ROOT,
            env=os.environ | database_urls,
        )
        for _ in range(WORKERS)
    ]
    yield made
    for one in made:
        one.kill()
        one.wait()


def told(worker, *words: object) -> str:
    worker.stdin.write(" ".join(map(str, words)) + "\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


def accept(worker, loop) -> str:
    return told(worker, "accept", loop.pk, loop.patient.account_id, LATER.isoformat())


def test_every_worker_refuses_from_its_next_act_on_and_goes_on_after_two_have_ended_it(hospital, workers):
    before, *after = [hospital.loop_at(LoopState.WITH_PATIENT) for _ in range(WORKERS + 1)]
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    assert [worker.stdout.readline().strip() for worker in workers] == ["ready"] * WORKERS
    assert accept(workers[0], before) == "accepted"

    row = throw_switch(EVERYTHING, reason="a drill", by=hospital.acting("clinician", now=LATER), now=LATER)
    assert [accept(w, loop) for w, loop in zip(workers, after, strict=True)] == ["suspended"] * WORKERS
    assert told(workers[-1], "close", patient.pk, LATER.isoformat()) == "suspended"

    hospital.join("lead", Role.RESPONSIBLE_AI_LEAD, now=NOW)
    ask_end(row.pk, reason="over", by=hospital.acting("other_clinician", now=LATER), now=LATER)
    assert [accept(w, loop) for w, loop in zip(workers, after, strict=True)] == ["suspended"] * WORKERS
    end_suspension(row.pk, reason="over", by=hospital.acting("lead", now=LATER), now=LATER)
    assert [accept(w, loop) for w, loop in zip(workers, after, strict=True)] == ["accepted"] * WORKERS


def test_the_console_throws_it_for_a_person_and_only_at_a_terminal_ends_it(hospital):
    call_command("kill_switch", "throw", "--by", "clinician", "--reason", "doses look wrong", stdout=io.StringIO())
    out = io.StringIO()
    call_command("kill_switch", "status", "--json", stdout=out)
    (one,) = json.loads(out.getvalue())
    assert (one["scope"], one["cause"]) == ("everything", "kill_switch")
    assert Suspension.objects.get().began_by == hospital.people["clinician"]
    for act in (["ask", one["id"], "--by", "pharmacist"], ["ask", one["id"], "--by", "clinician"]):
        with pytest.raises(CommandError, match="not_allowed"):
            call_command("kill_switch", *act, "--reason", "x")
    with pytest.raises(CommandError, match="signature_needed"):
        call_command("kill_switch", "ask", one["id"], "--by", "other_clinician", "--reason", "x")
    for wrong in (["throw", "--by", "clinician"], ["throw", "--reason", "x"], ["end", "nonsense", "--by", "clinician"]):
        with pytest.raises(CommandError):
            call_command("kill_switch", *wrong)
    with pytest.raises(CommandError, match="not_found"):
        call_command("kill_switch", "throw", "--by", "nobody", "--reason", "x")
    assert len(standing()) == 1


def test_a_drill_without_somebody_to_sign_its_end_is_refused_and_leaves_what_it_began_in_sight(
    hospital, database_urls, monkeypatch
):
    for name, value in database_urls.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match="signature_needed"):
        call_command("drill_kill_switch", "--by", "clinician", "--workers", "2", stdout=io.StringIO())
    (left,) = standing()
    assert left.name.startswith("drill-")
    assert Pending.objects.exists()
    with pytest.raises(CommandError):
        call_command("drill_kill_switch", "--workers", "0", "--by", "clinician")
