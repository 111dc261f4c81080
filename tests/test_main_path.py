"""The main path of the house, from a cuff on an arm to a record that verifies. Newcomers: begin here.

Mary takes amlodipine and measures at home. Her pressure stays over the target her clinician signed. What follows walks
through every layer by its own doors: device API, services, worker, clinician's API, relay, patient's API, record. Each
paragraph names where to read on.
"""

import json
from datetime import datetime, time, timedelta
from io import StringIO
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.utils import timezone

from audit.services import sequence_until_empty
from care_loops.domain.loops import LoopState
from care_loops.models import Alert, BloodPressure, Loop, Message
from care_loops.selectors.regimen import regimen_now
from governance.services.tokens import issue_patient_token, issue_staff_token, phone_client
from models.registry.models import Example
from tests.care_loops.api.world import Phone
from tests.edge_wearables.entrance import Sender, a_sender, pressure
from tests.factories import AMLODIPINE, ZONE, Hospital

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_from_a_cuff_on_an_arm_to_a_record_that_verifies():
    # A site in simulation: people by invitation, a predictor with a card that two others approved (tests/factories.py).
    # Mary was enrolled, has a care team, a signed target of 135/85, and logs her doses.
    hospital = Hospital(now=timezone.now())
    mary = hospital.patient("mary", drugs=((AMLODIPINE, "5"),))
    her_phone, tool, cuff = phone_of(hospital, "mary"), tool_of(hospital, "clinician"), a_sender(mary)

    # 1. Her cuff sends two weeks, signed. The answer names every reading and gives a receipt; the same message again is
    #    answered with the same bytes and stored once (edge_wearables/api, edge_wearables/services/batches.py).
    first, again = two_weeks(cuff, 149, 91)
    assert len(first["accepted"]) == 56
    assert first["receipt"]["entry_id"]
    assert again == first

    # 2. They are observations of her record now; the danger rules ran as they were stored and found nothing
    #    (care_loops/services/take_in.py, care_loops/danger).
    assert BloodPressure.objects.filter(patient=mary, quarantined="").count() == 56
    assert not Alert.objects.filter(patient=mary).exists()

    # 3 to 7. Time passes: the window closes. Readings become an average, the predictor proposes, guardrails limit, the
    #    tier says who must act, evidence is frozen (care_loops/services/windows.py, care_loops/recommend).
    assert command("run_loops")["proposed"] == 1
    loop = Loop.objects.get(patient=mary)
    outcome = json.loads(loop.outcome)
    assert loop.state == LoopState.WITH_CLINICIAN
    assert (loop.model_name, loop.tier) == ("home_bp", "clinician_approves")
    assert (outcome["change"]["kind"], outcome["change"]["new_daily_dose"]["value"]) == ("step_up", "10")
    assert len(outcome["windows"]) >= 2
    assert all(window["average"] for window in outcome["windows"])

    # 9. It stands on her clinician's worklist, who approves what was shown and signs. Pressing twice decides once
    #    (care_loops/services/decide.py).
    assert str(loop.pk) in json.dumps(tool.get("worklist").json())
    shown = tool.get(f"recommendations/{loop.pk}").json()
    decision = {"kind": "approve", "seen_version": shown["version"]}
    key = str(uuid4())
    decided = tool.post(f"recommendations/{loop.pk}/decision", decision, key=key)
    assert decided.status_code == 200, decided.content
    assert tool.post(f"recommendations/{loop.pk}/decision", decision, key=key).content == decided.content
    assert state_of(loop) == LoopState.APPROVED

    # 8. After commit, and once, the relay puts it before Mary, with the old and the new total of a day
    #    (manage.py run_relay, care_loops/services/deliveries.py).
    command("run_relay", "--once")
    assert state_of(loop) == LoopState.DELIVERED
    words = Message.objects.get(loop=loop, kind="change").text
    assert "5 mg" in words
    assert "10 mg" in words

    # Mary reads it in plain words and accepts. Nothing has changed yet: only the first dose makes it so
    #    (care_loops/api/me_proposals.py, care_loops/services/intake.py).
    assert str(loop.pk) in json.dumps(her_phone.get("me/recommendations").json())
    accepted = her_phone.post(f"me/recommendations/{loop.pk}/accept", key=str(uuid4()))
    assert accepted.status_code == 200, accepted.content
    assert dose_of(mary) == 5
    assert first_dose(her_phone).status_code == 201
    assert dose_of(mary) == 10
    assert state_of(loop) == LoopState.DONE

    # 10. What was decided, on which evidence, is an example for the ML side: pushed, once (models/registry).
    example = Example.objects.get(loop_ref=loop.pk)
    assert (example.label, example.evidence_digest) == ("approve", loop.evidence_digest)

    # Then a reading in the crisis range. The alert stands when the cuff is answered: no model, no worker was asked.
    #    Its lock ends by a clinician's word alone (care_loops/services/alerts.py).
    taken = cuff.taken(pressure(57, systolic=192, diastolic=112, ago=1))
    assert taken["accepted"] == [57]
    alert = Alert.objects.get(patient=mary, kind="crisis")
    assert alert.locks
    assert tool.post(f"alerts/{alert.pk}/acknowledgement", {}).status_code == 200
    assert tool.post(f"alerts/{alert.pk}/disposition", {"code": "patient_reached_and_well"}).status_code == 200
    alert.refresh_from_db()
    assert alert.disposed_by == hospital.people["clinician"]

    # 14. A year later somebody asks why. The recommendation is computed again from what was frozen, and is the same;
    #     every act is in a record that verifies (care_loops/services/replay.py, audit).
    assert command("replay", str(loop.pk))["identical"] is True
    assert sequence_until_empty() > 0
    verified = command("verify_audit")
    assert verified["verified"] is True
    assert verified["pending"] == 0


def two_weeks(cuff: Sender, systolic: int, diastolic: int) -> tuple[dict, dict]:
    """Two readings each morning and evening of the last fourteen days, in one message sent twice; both answers."""
    zone = ZoneInfo(ZONE)
    today = timezone.now().astimezone(zone).date()
    moments = [
        datetime.combine(today - timedelta(days=back), time(hour, minute), zone)
        for back in range(14, 0, -1)
        for hour in (7, 20)
        for minute in (0, 2)
    ]
    readings = [
        pressure(seq, systolic=systolic, diastolic=diastolic, taken_at=at.isoformat())
        for seq, at in enumerate(moments, start=1)
    ]
    message = cuff.message(readings)
    answers = [cuff.post(*message) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    return answers[0].json(), answers[1].json()


def command(name: str, *arguments: str) -> dict:
    """A command of the house, asked for JSON."""
    out = StringIO()
    call_command(name, *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def phone_of(hospital: Hospital, name: str) -> Phone:
    """The patient's application with the patient's token."""
    client = phone_client(redirect_uris=("https://phone.example/done",))
    return Phone(issue_patient_token(hospital.people[name], client, timezone.now()))


def tool_of(hospital: Hospital, name: str) -> Phone:
    """A tool of a member of staff."""
    client = phone_client(redirect_uris=("https://phone.example/done",))
    return Phone(issue_staff_token(hospital.people[name], client, timezone.now()), signer=hospital.people[name])


def first_dose(phone: Phone):
    """The patient logs the first dose of what was accepted."""
    now = timezone.now()
    said = {
        "source_id": "first-dose",
        "ingredient": AMLODIPINE,
        "due_on": now.astimezone(ZoneInfo(ZONE)).date().isoformat(),
        "taken": True,
        "taken_at": now.isoformat(),
    }
    return phone.post("me/intakes", said)


def state_of(loop: Loop) -> str:
    """Where it stands now."""
    loop.refresh_from_db()
    return loop.state


def dose_of(patient) -> int:
    """What the patient takes of amlodipine now, in mg a day."""
    (drug,) = regimen_now(patient, now=timezone.now()).drugs
    return int(drug.daily_dose.value)
