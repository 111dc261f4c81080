"""Small acts on the patient's page, and what the frame of every page says."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from care_loops.domain.record import SymptomKind
from care_loops.models import BloodPressure, Correction, SymptomReview, VisitPlan
from care_loops.presenters.modes import SIMULATION, site_shown
from tests.care_loops.web.ward import admit, felt, measured, reading
from tests.factories import Hospital

pytestmark = pytest.mark.django_db


def page_of(client, patient) -> str:
    return client.get(reverse("patient", args=[patient.pk])).content.decode()


def test_a_symptom_is_reviewed_and_says_by_whom_it_was_blamed(ward, signed_in):
    patient = admit(ward)
    symptom = felt(patient, SymptomKind.ANKLE_SWELLING, at=ward.now - timedelta(hours=2), blamed="17767", text="both")
    client = signed_in("clinician")
    html = page_of(client, patient)
    assert "Ankle swelling" in html
    assert "blamed on amlodipine" in html
    sent = {"key": "s" * 12, "outcome": "caused_by_drug", "text": ""}
    assert client.post(reverse("symptom-review", args=[symptom]), sent).status_code == 303
    assert SymptomReview.objects.get().by == ward.people["clinician"]
    assert "Reviewed: Caused by the drug" in page_of(client, patient)


def test_a_reading_that_does_not_count_stays_in_sight(ward, signed_in):
    patient = admit(ward)
    measured(patient, reading(ward.now, 141, 88), at=ward.now)
    row = BloodPressure.objects.get()
    client = signed_in("clinician")
    sent = {"key": "c" * 12, "reason": "entered_in_error", "moved_to": "", "text": "not hers"}
    assert client.post(reverse("reading-correct", args=[row.pk]), sent).status_code == 303
    assert Correction.objects.get().reading_id == row.pk
    assert "corrected: entered in error" in page_of(client, patient)


def test_a_reading_moves_to_the_patient_it_was_taken_from(ward, signed_in):
    wrong, right = admit(ward, "Wrong"), admit(ward, "Right")
    measured(wrong, reading(ward.now, 141, 88), at=ward.now)
    row = BloodPressure.objects.get()
    sent = {"key": "m" * 12, "reason": "wrong_patient", "moved_to": str(right.pk), "text": ""}
    assert signed_in("clinician").post(reverse("reading-correct", args=[row.pk]), sent).status_code == 303
    assert BloodPressure.objects.filter(patient=right).count() == 1


def test_a_visit_is_set_with_a_reason_and_not_without(ward, signed_in):
    patient = admit(ward)
    client, where = signed_in("clinician"), reverse("patient-visit", args=[patient.pk])
    day = (ward.now + timedelta(days=30)).date().isoformat()
    refused = client.post(where, {"key": "v" * 12, "due_on": day, "reason": ""}, follow=True)
    assert "Not done. Reason This field is required." in refused.content.decode()
    assert client.post(where, {"key": "w" * 12, "due_on": day, "reason": "falls"}).status_code == 303
    assert VisitPlan.objects.get().overridden_by == ward.people["clinician"]
    assert "set by a clinician: falls" in page_of(client, patient)


def test_a_pharmacist_reviews_no_symptom_and_corrects_no_reading(ward, signed_in):
    patient = admit(ward)
    symptom = felt(patient, SymptomKind.COUGH, at=ward.now)
    measured(patient, reading(ward.now, 141, 88), at=ward.now)
    client = signed_in("pharmacist")
    html = page_of(client, patient)
    assert "Waits for review by a clinician." in html
    assert "/correct/" not in html
    sent = {"key": "p" * 12, "outcome": "caused_by_drug", "reason": "entered_in_error"}
    assert client.post(reverse("symptom-review", args=[symptom]), sent).status_code == 403
    row = BloodPressure.objects.get()
    assert client.post(reverse("reading-correct", args=[row.pk]), sent).status_code == 403


def test_where_no_medicines_are_on_record_somebody_says_that_none_are_taken(ward, signed_in):
    patient = admit(ward, listed=False)
    client, where = signed_in("pharmacist"), reverse("patient-no-medicines", args=[patient.pk])
    html = page_of(client, patient)
    assert "no list of medicines has been recorded" in html
    assert where in html
    assert client.post(where, {"key": "n" * 12}).status_code == 303
    assert client.post(where, {"key": "n" * 12}).status_code == 303, "sent twice, said once"
    assert [row.status for row in patient.regimen_entries.all()] == ["nothing"]
    html = page_of(client, patient)
    assert "no medicines are taken" in html
    assert where not in html
    foreign = admit(ward, "Other", team=("other_clinician",), listed=False)
    assert client.post(reverse("patient-no-medicines", args=[foreign.pk]), {"key": "o" * 12}).status_code == 404
    assert not foreign.regimen_entries.exists()


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("simulation", SIMULATION),
        ("research", "Research under protocol"),
        ("off", "Switched off — not for patient care"),
        ("never heard of", "not for patient care"),
        (None, "not for patient care"),
    ],
)
def test_what_is_not_known_to_be_for_care_says_so(mode, said):
    assert said in site_shown(mode).banner
    assert site_shown(mode).not_for_care


def test_a_live_site_carries_no_banner():
    assert not site_shown("live").not_for_care


def test_a_site_switched_off_says_so_on_its_pages(quick_passwords, client):
    site = Hospital(now=timezone.now().replace(microsecond=0))
    site.mode(mode="off")
    assert "Switched off — not for patient care" in client.get("/accounts/login/").content.decode()
