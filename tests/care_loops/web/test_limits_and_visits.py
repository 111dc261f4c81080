"""Alert limits and visits on the pages: signed, shown where an alert rests on them, recorded at equal cost."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from care_loops.models import AlertLimits, Visit
from care_loops.presenters.worklist import Tab, worklist_shown
from care_loops.selectors.worklist import worklist
from care_loops.services import plan_visit
from tests.care_loops.web.ward import admit, measured, reading, uncontrolled
from tests.factories import ZONE

pytestmark = pytest.mark.django_db


def page_of(client, patient) -> str:
    return client.get(reverse("patient", args=[patient.pk])).content.decode()


def test_limits_are_signed_shown_and_named_by_the_alert_they_raise(ward, signed_in):
    patient, client = admit(ward), signed_in("clinician")
    assert "The site's own" in page_of(client, patient)
    where = reverse("patient-alert-limits", args=[patient.pk])
    assert "s limit: 180 or more." in client.get(where).content.decode()
    assert client.post(where, {"key": "l" * 12, "crisis_systolic": "165"}).status_code == 303
    assert AlertLimits.objects.get().low_systolic is None
    at = timezone.now()
    measured(patient, reading(at, 166, 92), at=at)
    html = page_of(client, patient)
    assert "165 or more mmHg (site: 180 or more)" in html
    assert "By a limit of this patient&#x27;s own" in html or "By a limit of this patient's own" in html


def test_a_limit_that_loosens_is_refused_beside_its_field(ward, signed_in):
    patient = admit(ward)
    where = reverse("patient-alert-limits", args=[patient.pk])
    answer = signed_in("clinician").post(where, {"key": "l" * 12, "crisis_systolic": "190", "low_systolic": "95"})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "a limit may only be narrower" in html
    assert 'value="95"' in html  # nothing that was filled in is lost
    assert not AlertLimits.objects.exists()


def test_an_overdue_visit_waits_on_the_worklist_until_somebody_says_what_became_of_it(ward, signed_in):
    patient, client = admit(ward, "Late"), signed_in("clinician")
    today = ward.now.astimezone(ZoneInfo(ZONE)).date()
    plan_visit(
        patient.pk,
        due_on=today - timedelta(days=2),
        rule="set_by_clinician",
        reason="test",
        by=ward.acting("clinician"),
        now=ward.now,
    )
    shown = worklist_shown(worklist(ward.acting("clinician"), now=ward.now), tab=Tab.VISITS, query="", now=ward.now)
    assert [line.patient.family_name for line in shown.lines] == ["Late"]
    html = page_of(client, patient)
    assert "(overdue)" in html
    outcomes = re.findall(r'<input type="radio" name="outcome" value="(\w+)"[^>]*?( checked)?>', html)
    assert outcomes == [("held", ""), ("not_held", ""), ("cancelled", "")]
    where = reverse("patient-visit-outcome", args=[patient.pk])
    refused = client.post(where, {"key": "v" * 12, "outcome": "held"}, follow=True).content.decode()
    assert "Say on which day it was held" in refused
    sent = {"key": "w" * 12, "outcome": "held", "on_day": today.isoformat(), "sleep": "six hours"}
    assert client.post(where, sent).status_code == 303
    assert Visit.objects.get().sleep == "six hours"
    assert "Sleep: six hours" in page_of(client, patient)
    assert not [i for i in worklist(ward.acting("clinician"), now=ward.now).items if i.visit]


def test_a_boundary_offers_only_doses_above_the_present_one(ward, signed_in):
    html = signed_in("clinician").get(reverse("patient-boundary", args=[uncontrolled(ward).pk])).content.decode()
    offered = re.findall(r'<option value="([\d.]+)">up to', html)
    assert {"20", "40"} <= {value.split(".")[0] for value in offered}
    assert "10" in {value.split(".")[0] for value in offered}  # of amlodipine, of which 5 mg are taken
    lisinopril = html[html.index('name="most_29046"') : html.index("</select>", html.index('name="most_29046"'))]
    assert re.findall(r'value="(\d+)', lisinopril) == ["20", "40"]
