"""The patient page tells what is past as past: alerts that have ended, and why nothing was proposed on another day."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from care_loops.domain.record import SymptomKind
from care_loops.domain.refusals import Withheld
from care_loops.models import Alert, CareTeamMember, Loop, RegimenEntry
from care_loops.presenters import times, words
from care_loops.presenters.vocabulary import WITHHELD, WITHHELD_THEN
from care_loops.selectors.summary import ENDED_ALERTS
from care_loops.services import acknowledge_alert, dispose_alert
from care_loops.services.clinical import NewCondition, record_condition
from tests.care_loops.web.ward import admit, felt, measured, reading, uncontrolled
from tests.factories import ZONE, job

pytestmark = pytest.mark.django_db


def page_of(client, patient) -> str:
    return client.get(reverse("patient", args=[patient.pk])).content.decode()


def ended_part(html: str) -> str:
    return html.partition('id="ended-head"')[2].partition("</section>")[0]


def closed(ward, alert, *, code, text, at) -> None:
    dispose_alert(alert.pk, code=code, text=text, by=ward.acting("clinician", now=at), now=at)


def test_an_alert_that_has_ended_stays_told_with_how_when_and_by_whom(ward, signed_in):
    patient = admit(ward)
    client = signed_in("clinician")
    assert "None yet." in ended_part(page_of(client, patient))
    measured(patient, reading(ward.now, 192, 122), at=ward.now)
    alert = Alert.objects.get(patient=patient, kind="crisis")
    acknowledge_alert(alert.pk, by=ward.acting("clinician"), now=ward.now)
    assert "None yet." in ended_part(page_of(client, patient))
    closed(ward, alert, code="repeat_was_normal", text="134/82 on the other arm", at=ward.now)
    said = ended_part(page_of(client, patient))
    for part in (
        "192/122 mmHg",
        words.reason("repeat_was_normal"),
        "by Clinician Example",
        "134/82 on the other arm",
        "Urgent",
    ):
        assert part in said
    assert times.clock(ward.now, ZONE) in said


def test_the_alerts_that_ended_are_the_newest_first_and_no_more_than_a_few(ward, signed_in):
    patient = admit(ward)
    for number in range(ENDED_ALERTS + 1):
        at = ward.now - timedelta(hours=24 - number)
        felt(patient, SymptomKind.SYNCOPE, at=at, text=str(number))
        alert = Alert.objects.get(patient=patient, disposed_at__isnull=True)
        closed(ward, alert, code="referred", text=f"number {number}.", at=at)
    said = ended_part(page_of(signed_in("clinician"), patient))
    numbers = [said.find(f"number {number}.") for number in range(ENDED_ALERTS, 0, -1)]
    assert -1 not in numbers
    assert numbers == sorted(numbers)
    assert "number 0." not in said


def pregnancy(ward, patient, *, began, ended) -> None:
    new = NewCondition(
        source_system="ward",
        source_id="c1",
        kind=None,
        code_system="http://snomed.info/sct",
        code="77386006",
        display="Pregnancy",
        pregnancy=True,
        onset_at=began,
        abated_at=ended,
        active=False,
    )
    record_condition(patient.pk, new, by=job(), now=began + timedelta(days=30))


def test_a_past_pregnancy_is_told_as_past_with_its_date(ward, signed_in):
    patient = uncontrolled(ward)
    ended = ward.now - timedelta(days=60)
    pregnancy(ward, patient, began=ward.now - timedelta(days=340), ended=ended)
    loop = ward.close(patient, now=ward.now - timedelta(days=49))
    assert Loop.objects.get(pk=loop.pk).withheld_reason == Withheld.PREGNANCY.value
    html = page_of(signed_in("clinician"), patient)
    assert f"not pregnant since {times.day(times.local(ended, ZONE).date())}" in html
    then = times.day(times.local(ward.now - timedelta(days=49), ZONE).date())
    assert f"Nothing was proposed on {then}" in html
    assert "Because the patient was then pregnant, or within six weeks after." in html
    assert "the patient is pregnant" not in html


def test_what_holds_today_is_told_in_the_present(ward, signed_in):
    patient = uncontrolled(ward)
    pregnancy(ward, patient, began=ward.now - timedelta(days=300), ended=ward.now - timedelta(days=20))
    ward.close(patient, now=ward.now)
    html = page_of(signed_in("clinician"), patient)
    assert "Nothing is proposed" in html
    assert "Because the patient is pregnant, or was within six weeks." in html
    assert "within six weeks after pregnancy, ended " in html


def test_every_reason_for_no_proposal_has_words_for_today_and_for_then():
    assert set(WITHHELD) == set(WITHHELD_THEN) == set(Withheld)


def test_every_time_of_day_on_the_page_names_its_zone(ward, signed_in):
    patient = uncontrolled(ward)
    measured(patient, reading(ward.now, 192, 122), at=ward.now)
    html = page_of(signed_in("clinician"), patient)
    letters = times.local(ward.now, ZONE).tzname()
    assert f"{times.local(ward.now, ZONE):%H:%M} {letters}" in html
    clocks = re.findall(r"\d{4}, \d\d:\d\d(?::\d\d)?( \w+)?", html)
    assert len(clocks) > 10
    assert all(clocks)


def test_a_patient_is_enrolled_with_a_zone_and_a_clinician_from_lists(ward, signed_in):
    client, where = signed_in("admin"), reverse("enrol-patient")
    html = client.get(where).content.decode()
    for offered in ('<optgroup label="Europe">', 'value="Europe/Berlin"', 'value="clinician">Clinician Example'):
        assert offered in html
    assert 'value="pharmacist"' not in html
    sent = {"given_name": "Eva", "family_name": "Neu", "born_on": "1970-01-01", "sex": "female", "email": ""}
    wrong = client.post(where, sent | {"zone": "Mars/Olympus", "responsible": "pharmacist"})
    assert wrong.status_code == 422
    assert "is not one of the available choices" in wrong.content.decode()
    assert client.post(where, sent | {"zone": "Europe/Berlin", "responsible": "clinician"}).status_code == 302
    member = CareTeamMember.objects.get()
    assert (member.user, member.responsible, member.patient.zone) == (ward.people["clinician"], True, "Europe/Berlin")
    assert not member.patient.regimen_entries.exists(), "what nobody said is not known"
    said = sent | {"zone": "Europe/Berlin", "responsible": "clinician", "takes_no_medicines": "on"}
    assert client.post(where, said).status_code == 302
    assert [row.status for row in RegimenEntry.objects.all()] == ["nothing"]
