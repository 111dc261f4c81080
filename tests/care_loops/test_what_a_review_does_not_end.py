"""A clinician's review ends an alarm. It does not end what the patient's history now is (CLINICAL 1.7)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from care_loops.domain.evidence import Outcome
from care_loops.domain.loops import DecisionKind
from care_loops.domain.record import SymptomKind
from care_loops.freeze import thaw
from care_loops.models import Alert, Symptom
from care_loops.services import DecisionInput, NewSymptom, decide, dispose_alert, record_symptom, review_symptom
from tests.factories import LISINOPRIL, Hospital, job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("reviewed", [False, True])
def test_after_a_swelling_of_the_face_no_ace_inhibitor_is_stepped_up(built, reviewed):
    site = built.once(Hospital)
    patient = site.patient()
    site.weeks(patient, *[(152, 93)] * 3)
    week_ago = site.now - timedelta(days=20)
    swelling = NewSymptom("phone", "s-1", SymptomKind.SWELLING_FACE, "", "", week_ago)
    record_symptom(patient.pk, swelling, by=job(), now=week_ago)
    if reviewed:
        clinician = site.acting("clinician")
        review_symptom(Symptom.objects.get().pk, outcome="seen_no_change", text="", by=clinician, now=site.now)
        for alert in Alert.objects.filter(patient=patient):
            dispose_alert(alert.pk, code="treated", text="", by=clinician, now=site.now)

    loop = site.close(patient)

    outcome = thaw(loop.outcome, Outcome)
    stepped = [c for c in outcome.candidates if c.change.ingredient == LISINOPRIL and c.change.intensifies]
    assert stepped
    assert all("acei-angioedema" in {s.rule for s in c.spoken} and c.barred for c in stepped)
    assert outcome.change.ingredient != LISINOPRIL or not outcome.change.intensifies


def test_without_the_swelling_the_same_patient_is_offered_the_step(built):
    site = built.once(Hospital)
    patient = site.patient()
    site.weeks(patient, *[(152, 93)] * 3)

    outcome = thaw(site.close(patient).outcome, Outcome)

    assert outcome.change.ingredient == LISINOPRIL
    assert outcome.change.intensifies


def test_one_week_over_target_is_called_that_and_not_a_change_too_recent(built):
    site = built.once(Hospital)
    patient = site.patient()
    site.weeks(patient, (128, 78), (128, 78), (152, 93))

    assert site.close(patient).withheld_reason == "too_few_windows_over_target"


def test_a_window_right_after_a_change_is_called_too_recent(built):
    site = built.once(Hospital)
    patient = site.patient()
    site.takes(patient, LISINOPRIL, "20", since=site.now - timedelta(days=10))
    site.weeks(patient, (152, 93), (152, 93))

    assert site.close(patient).withheld_reason == "too_soon_after_change"


def test_a_step_that_was_rejected_is_not_proposed_again_the_week_after(built):
    site = built.once(Hospital)
    patient = site.patient()
    site.weeks(patient, *[(150, 92)] * 2)
    loop = site.close(patient)
    chosen = DecisionInput(DecisionKind.REJECT, "patient_preference", "", loop.version)
    decide(loop.pk, chosen, by=site.acting("clinician"), now=site.now)
    site.now += timedelta(days=7)
    site.week(patient, 150, 92)
    site.doses(patient, [LISINOPRIL], days=7)

    assert site.close(patient).withheld_reason == "rejected_or_declined_lately"
