"""A boundary above the site's threshold on the pages: put forward, approved by a pharmacist, signed; or ended."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse

from care_loops.models import Boundary
from governance.models import Approval, Motion
from tests.care_loops.web.ward import measured, reading, uncontrolled
from tests.factories import AMLODIPINE, LISINOPRIL

pytestmark = pytest.mark.django_db


@pytest.fixture
def patient(ward):
    return uncontrolled(ward)


def form(ward, **more) -> dict[str, str]:
    said = {
        "key": uuid4().hex,
        f"most_{LISINOPRIL}": "20",
        f"most_{AMLODIPINE}": "10",
        "max_steps": "2",
        "min_interval_days": "28",
        "expires_on": (ward.now + timedelta(days=60)).date().isoformat(),
        "reason": "both are low",
    }
    return said | more


def act(what: str, **more: str) -> dict[str, str]:
    return {"key": uuid4().hex, "act": what} | more


def put(ward, signed_in, patient) -> str:
    answer = signed_in("clinician").post(reverse("patient-boundary", args=[patient.pk]), form(ward))
    assert answer.status_code == 303, answer.content.decode()[:3000]
    return answer["Location"]


def test_two_drugs_at_once_wait_for_a_pharmacist_and_then_for_their_prescriber(ward, signed_in, patient):
    where = put(ward, signed_in, patient)
    assert where == reverse("patient-boundary-waiting", args=[patient.pk])
    assert not Boundary.objects.filter(patient=patient).exists()
    clinician, pharmacist = signed_in("clinician"), signed_in("pharmacist")
    page = clinician.get(where).content.decode()
    assert ward.people["pharmacist"].printed_name in page, "who may is listed"
    assert 'value="approve"' not in page, "nobody approves their own"
    assert clinician.post(where, act("approve")).status_code == 403
    assert clinician.post(where, act("sign")).status_code == 409
    assert "put forward" in pharmacist.get(reverse("patient", args=[patient.pk])).content.decode()
    page = pharmacist.get(where).content.decode()
    assert 'value="approve"' in page
    assert "when its prescriber signs it" in page
    assert "your signature" not in page
    assert pharmacist.post(where, act("approve")).status_code == 303
    assert Approval.objects.filter(approver=ward.people["pharmacist"]).exists()
    assert 'value="sign"' not in pharmacist.get(where).content.decode()
    assert clinician.post(where, act("sign")).status_code == 303
    assert Boundary.objects.get(patient=patient).drugs.count() == 2
    assert "came into force" in clinician.get(where).content.decode()


def test_a_danger_makes_it_void_on_the_page_and_it_takes_no_approval(ward, signed_in, patient):
    where = put(ward, signed_in, patient)
    measured(patient, reading(ward.now, 190, 125))
    pharmacist = signed_in("pharmacist")
    page = pharmacist.get(where).content.decode()
    assert "has changed since" in page
    assert 'value="approve"' not in page
    assert pharmacist.post(where, act("approve")).status_code == 409
    assert signed_in("clinician").post(where, act("end", reason="again")).status_code == 303
    assert Motion.objects.get(subject=f"boundary:{patient.pk}").ended == "withdrawn"


def test_why_is_asked_above_the_threshold_and_not_below(ward, signed_in, patient):
    clinician, where = signed_in("clinician"), reverse("patient-boundary", args=[patient.pk])
    assert clinician.post(where, form(ward, reason="")).status_code == 422
    below = form(ward, reason="", **{f"most_{AMLODIPINE}": ""})
    assert clinician.post(where, below)["Location"] == reverse("patient", args=[patient.pk])


def test_a_pharmacist_may_refuse_and_nobody_elsewhere_sees_it(ward, signed_in, patient):
    where = put(ward, signed_in, patient)
    assert signed_in("other_clinician").get(where).status_code == 404
    pharmacist = signed_in("pharmacist")
    assert pharmacist.post(where, act("nonsense")).status_code == 400
    assert pharmacist.post(where, act("end", reason="too much at once")).status_code == 303
    assert Motion.objects.get(subject=f"boundary:{patient.pk}").ended == "refused"


def test_without_anything_put_forward_the_page_says_so(ward, signed_in, patient):
    where = reverse("patient-boundary-waiting", args=[patient.pk])
    clinician = signed_in("clinician")
    assert "Nothing is put forward" in clinician.get(where).content.decode()
    assert clinician.post(where, act("sign")).status_code == 404
