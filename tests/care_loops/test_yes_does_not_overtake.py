"""A yes does not overtake the second look: what lies in the danger window holds an increase, its alert closed or not.

The relay, which looks at open recommendations again, is down in every test here (N4; CLINICAL 1.3).
"""

from datetime import timedelta

import pytest

from care_loops.domain.loops import LoopState
from care_loops.domain.record import LabKind
from care_loops.domain.units import MmHg
from care_loops.models import Alert
from care_loops.policies import Changed, HeldForSafety, LimitStops
from care_loops.services import Answer, deliver, respond, sign_target
from care_loops.services.alerts import dispose_alert
from tests.factories import LISINOPRIL, NOW, Hospital, job

pytestmark = pytest.mark.django_db(transaction=True)
LOSARTAN = "52175"
LATER = NOW + timedelta(hours=1)
DANGEROUS = [(190, 100), (150, 121), (85, 62), (105, 55)]


@pytest.fixture
def hospital(built) -> Hospital:
    return built.once(Hospital)


def measured_and_closed(hospital: Hospital, patient, systolic: int, diastolic: int) -> None:
    """A dangerous reading, whose alert a clinician has closed before the relay came round."""
    hospital.measures(patient, systolic, diastolic, at=LATER)
    clinician = hospital.acting("clinician", now=LATER)
    for alert in Alert.objects.filter(patient=patient, disposed_at__isnull=True):
        dispose_alert(alert.pk, code="repeat_was_normal", text="", by=clinician, now=LATER)


@pytest.mark.parametrize("pressure", DANGEROUS)
def test_the_patients_yes_to_an_increase(hospital, pressure):
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    measured_and_closed(hospital, loop.patient, *pressure)
    with pytest.raises(HeldForSafety):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.WITH_PATIENT.value


@pytest.mark.parametrize("pressure", DANGEROUS)
def test_the_clinicians_yes_to_an_increase_that_a_machine_proposed(hospital, pressure):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    measured_and_closed(hospital, loop.patient, *pressure)
    with pytest.raises(LimitStops):
        hospital.approve(loop, now=LATER)


NEWS = {
    "potassium over 5.0": lambda hospital, patient: hospital.lab(patient, LabKind.POTASSIUM, "5.3", at=LATER),
    "an ARB beside the ACE inhibitor": lambda hospital, patient: hospital.takes(patient, LOSARTAN, "50", since=LATER),
    "another dose, from outside": lambda hospital, patient: hospital.takes(patient, LISINOPRIL, "40", since=LATER),
    "another target": lambda hospital, patient: sign_target(
        patient.pk,
        systolic_below=MmHg.of(155),
        diastolic_below=MmHg.of(95),
        by=hospital.acting("clinician", now=LATER),
        now=LATER,
    ),
}


@pytest.mark.parametrize("news", NEWS)
def test_the_patients_yes_after_news_that_nobody_has_looked_at(hospital, news):
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    NEWS[news](hospital, loop.patient)
    with pytest.raises(HeldForSafety):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)


def test_an_ordinary_reading_holds_nobody_up(hospital):
    loop = hospital.loop_at(LoopState.WITH_PATIENT)
    hospital.measures(loop.patient, 150, 90, at=LATER)
    respond(loop.pk, Answer.ACCEPT, reason_code="", by=hospital.own(loop.patient, now=LATER), now=LATER)
    loop.refresh_from_db()
    assert loop.state == LoopState.ACCEPTED.value


def test_zeros_of_a_device_that_could_not_measure_hold_nothing_up(hospital):
    patient = hospital.patient()
    hospital.weeks(patient, *[(150, 92)] * 5)
    hospital.measures(patient, 0, 0, at=NOW - timedelta(hours=1))
    loop = hospital.close(patient)
    assert (loop.state, loop.change_kind) == (LoopState.WITH_CLINICIAN.value, "step_up")


@pytest.mark.parametrize("news", NEWS)
def test_the_clinicians_yes_after_news_that_nobody_has_looked_at(hospital, news):
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    NEWS[news](hospital, loop.patient)
    with pytest.raises(Changed):
        hospital.approve(loop, now=LATER)


@pytest.mark.parametrize("pressure", DANGEROUS)
def test_the_delivery_of_an_increase_that_was_approved_before(hospital, pressure):
    loop = hospital.loop_at(LoopState.APPROVED)
    measured_and_closed(hospital, loop.patient, *pressure)
    assert deliver(loop.pk, by=job("relay"), now=LATER) is None
