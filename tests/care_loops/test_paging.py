"""Whom an alert reaches: the clinician responsible, then the rota, by the clock; and when nobody is there."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from audit.models import Outbox
from audit.services import enqueue
from care_loops.models import Alert
from care_loops.services import acknowledge_alert, escalate_alerts
from care_loops.services.break_glass import TOPIC as GLASS
from governance.channels import Channel
from governance.cover import Rung
from governance.models import ContactPoint, Notice
from governance.services.contacts import add_contact, confirm_contact
from governance.services.notices import send_due
from governance.services.rota import add_shift
from tests.care_loops.standing import hospital, pass_on, site  # noqa: F401
from tests.factories import NOW, Hospital, job
from tests.governance.neighbours import sms_gateway


@pytest.fixture
def gateway(settings):
    with sms_gateway() as there:
        settings.CHANNEL_FILE = ""
        settings.CHANNEL_SMS_URL, settings.CHANNEL_SMS_TOKEN = there.url, there.token
        yield there


def reached(hospital: Hospital, name: str, number: str, gateway) -> ContactPoint:  # noqa: F811
    """This person is reached at that number."""
    point = add_contact(Channel.SMS, number, by=hospital.acting(name), now=NOW)
    code = gateway.messages.popitem()[1]["text"].split()[4].rstrip(".")
    return confirm_contact(point.pk, code, by=hospital.acting(name), now=NOW)


def crisis(hospital: Hospital, patient) -> Alert:  # noqa: F811
    hospital.measures(patient, 188, 95)
    return Alert.objects.get(patient=patient, kind="crisis", disposed_at__isnull=True)


def told(gateway) -> list[str]:
    """Send what waits, and who got it: their numbers, each message once."""
    send_due(by=job(), now=NOW)
    numbers = [said["to"] for said in gateway.messages.values()]
    gateway.messages.clear()
    return sorted(numbers)


def test_the_clinician_responsible_is_told_at_once_and_the_rota_by_the_clock(hospital, gateway):  # noqa: F811
    responsible = reached(hospital, "clinician", "+4930000001", gateway)
    reached(hospital, "other_clinician", "+4930000002", gateway)
    people = hospital.people
    times = {"starts": NOW - timedelta(hours=1), "ends": NOW + timedelta(hours=12)}
    add_shift(Rung.ON_CALL, people["other_clinician"].pk, **times, by=hospital.acting("admin"), now=NOW)
    patient = hospital.patient()
    alert = crisis(hospital, patient)
    pass_on(NOW)
    assert told(gateway) == ["+4930000001"]
    assert Notice.objects.get().contact == responsible
    escalate_alerts(by=job(), now=alert.escalates_at)
    pass_on(NOW)
    assert told(gateway) == ["+4930000002"]


def test_what_goes_out_names_no_patient_and_no_value(hospital, gateway):  # noqa: F811
    reached(hospital, "clinician", "+4930000001", gateway)
    patient = hospital.patient()
    crisis(hospital, patient)
    pass_on(NOW)
    send_due(by=job(), now=NOW)
    (said,) = gateway.messages.values()
    for fact in ("188", "95", patient.family_name, patient.given_name, str(patient.pk)):
        assert fact not in said["text"]


def test_a_step_on_which_nobody_stands_is_said_by_name_and_the_care_team_is_told(hospital, gateway):  # noqa: F811
    reached(hospital, "clinician", "+4930000001", gateway)
    patient = hospital.patient(team=("clinician", "pharmacist"))
    reached(hospital, "pharmacist", "+4930000003", gateway)
    alert = crisis(hospital, patient)
    pass_on(NOW)
    assert told(gateway) == ["+4930000001"]
    escalate_alerts(by=job(), now=alert.escalates_at)
    pass_on(NOW)
    assert told(gateway) == ["+4930000001", "+4930000003"]
    assert set(Notice.objects.filter(level=1).values_list("kind", flat=True)) == {"uncovered"}


def test_an_alert_that_somebody_took_on_pages_nobody_any_more(hospital, gateway):  # noqa: F811
    reached(hospital, "clinician", "+4930000001", gateway)
    alert = crisis(hospital, hospital.patient())
    acknowledge_alert(alert.pk, by=hospital.acting("clinician"), now=NOW)
    assert Outbox.objects.filter(topic="alert.page").exists()
    pass_on(NOW)
    assert told(gateway) == []


def test_a_graver_turn_wakes_the_same_person_again(hospital, gateway):  # noqa: F811
    reached(hospital, "clinician", "+4930000001", gateway)
    patient = hospital.patient()
    crisis(hospital, patient)
    pass_on(NOW)
    assert told(gateway) == ["+4930000001"]
    hospital.measures(patient, 190, 95, at=NOW + timedelta(minutes=5))
    pass_on(NOW)
    assert told(gateway) == ["+4930000001"]


def test_a_record_opened_in_an_emergency_alarms_by_the_same_ways(hospital, gateway):  # noqa: F811
    reached(hospital, "other_clinician", "+4930000002", gateway)
    to = str(hospital.people["other_clinician"].pk)
    enqueue(GLASS, {"opening": str(uuid4()), "to": to, "as": "responsible_clinician"})
    pass_on(NOW)
    send_due(by=job(), now=NOW)
    (said,) = gateway.messages.values()
    assert said["to"] == "+4930000002"
    assert "a record was opened" in said["text"]
