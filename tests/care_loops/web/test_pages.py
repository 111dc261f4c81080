"""Who sees which page, and what stands on it."""

import re
import uuid

import pytest
from django.urls import reverse

from audit.models import Pending
from care_loops.domain.loops import LoopState
from care_loops.models import Alert, Loop
from care_loops.page_urls import urlpatterns
from tests.care_loops.web.ward import admit, measured, proposed, reading, uncontrolled

pytestmark = pytest.mark.django_db
SIMULATION = "Simulation — not for patient care"


def address(name, patient, loop):
    """The address of a page that is opened, or None for a form that is only sent."""
    ids = {"patient_id": patient.pk, "loop_id": loop.pk}
    route = next(str(p.pattern) for p in urlpatterns if p.name == name)
    wanted = set(re.findall(r"<uuid:(\w+)>", route))
    return reverse(name, kwargs={k: ids[k] for k in wanted})


OPENED = [
    "worklist",
    "alerts",
    "quarantine",
    "patient",
    "patient-target",
    "patient-boundary",
    "patient-alert-limits",
    "patient-order",
    "recommendation",
]
CLINICIAN_ONLY = {"patient-target", "patient-boundary", "patient-alert-limits", "patient-order"}


def without_token(answer) -> str:
    """The body without the one thing that is drawn anew for every answer."""
    return re.sub(r'(name="csrfmiddlewaretoken" value=")\w+', r"\1", answer.content.decode())


def text_of(answer) -> str:
    return answer.content.decode()


@pytest.mark.parametrize("name", OPENED)
def test_each_page_opens_for_the_clinician_of_the_patient(ward, signed_in, name):
    patient = uncontrolled(ward)
    loop = proposed(ward, patient)
    answer = signed_in("clinician").get(address(name, patient, loop))
    assert answer.status_code == 200
    assert SIMULATION in text_of(answer)
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("name", OPENED)
def test_no_page_carries_a_script_or_a_style_of_its_own(ward, signed_in, name):
    patient = uncontrolled(ward)
    loop = proposed(ward, patient)
    html = text_of(signed_in("clinician").get(address(name, patient, loop)))
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", html) == []
    assert re.findall(r"(?:src|href)=\"https?:", html) == []


@pytest.mark.parametrize("name", [n for n in OPENED if n not in ("worklist", "alerts", "quarantine")])
def test_a_foreign_patient_looks_like_none_at_all(ward, signed_in, name):
    patient = uncontrolled(ward)
    loop = proposed(ward, patient)
    stranger = signed_in("other_clinician")
    foreign = stranger.get(address(name, patient, loop))
    patient.pk, loop.pk = uuid.uuid4(), uuid.uuid4()
    nobody = stranger.get(address(name, patient, loop))
    assert (foreign.status_code, nobody.status_code) == (404, 404)
    assert without_token(foreign) == without_token(nobody)


@pytest.mark.parametrize(
    "name",
    [
        "recommendation-recall",
        "alert-acknowledge",
        "alert-dispose",
        "symptom-review",
        "reading-correct",
        "patient-no-medicines",
        "patient-visit",
        "patient-visit-outcome",
    ],
)
def test_what_is_sent_about_nobody_is_not_found(ward, signed_in, name):
    pattern = next(p for p in urlpatterns if p.name == name)
    key = re.search(r"<uuid:(\w+)>", str(pattern.pattern)).group(1)
    where = reverse(name, kwargs={key: uuid.uuid4()})
    assert signed_in("clinician").post(where, {"key": "k" * 12}).status_code == 404
    assert signed_in("clinician").get(where).status_code == 405


@pytest.mark.parametrize("name", sorted(CLINICIAN_ONLY))
def test_a_pharmacist_may_not_sign(ward, signed_in, name):
    patient = uncontrolled(ward)
    loop = proposed(ward, patient)
    answer = signed_in("pharmacist").get(address(name, patient, loop))
    assert answer.status_code == 403
    assert "not_allowed" in text_of(answer)


def test_a_pharmacist_sees_a_recommendation_and_has_nothing_to_decide_it_with(ward, signed_in):
    loop = proposed(ward, uncontrolled(ward))
    pharmacist = signed_in("pharmacist")
    page = pharmacist.get(reverse("recommendation", args=[loop.pk]))
    assert page.status_code == 200
    assert "choice" not in re.findall(r'name="(\w+)"', text_of(page))
    sent = pharmacist.post(reverse("recommendation", args=[loop.pk]), {"choice": "approve", "key": "k" * 12})
    assert sent.status_code == 403
    assert Loop.objects.get(pk=loop.pk).state == "with_clinician"


@pytest.mark.parametrize("name", OPENED)
def test_who_is_not_signed_in_is_asked_to(ward, client, name):
    patient = admit(ward)
    answer = client.get(address(name, patient, patient))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


def test_signing_in_says_that_this_is_a_simulation(ward, client):
    assert SIMULATION in text_of(client.get("/accounts/login/"))


@pytest.mark.parametrize(
    ("who", "where"), [("clinician", "/worklist/"), ("pharmacist", "/worklist/"), ("admin", "/quarantine/")]
)
def test_the_start_is_by_role(ward, signed_in, who, where):
    assert signed_in(who).get("/")["Location"] == where


def test_an_administrator_reads_no_record(ward, signed_in):
    patient = admit(ward)
    assert signed_in("admin").get(reverse("patient", args=[patient.pk])).status_code == 403
    assert signed_in("admin").get(reverse("worklist")).status_code == 403


def test_reading_a_record_is_recorded_each_time(ward, signed_in):
    patient, browser = admit(ward), signed_in("clinician")
    before = Pending.objects.count()
    for _ in range(2):
        browser.get(reverse("patient", args=[patient.pk]))
    browser.get(reverse("patient-trend", args=[patient.pk]))
    assert Pending.objects.count() == before + 3


def test_the_patient_page_says_why_nothing_is_proposed(ward, signed_in):
    patient = admit(ward, target=None)
    ward.week(patient, 150, 92)
    proposed(ward, patient)
    html = text_of(signed_in("clinician").get(reverse("patient", args=[patient.pk])))
    assert "Nothing is proposed" in html
    assert "no target is signed for this patient" in html


def test_the_patient_page_has_trend_adherence_and_the_open_recommendation(ward, signed_in):
    patient = uncontrolled(ward)
    loop = proposed(ward, patient)
    html = text_of(signed_in("clinician").get(reverse("patient", args=[patient.pk])))
    assert reverse("patient-trend", args=[patient.pk]) in html
    assert "% </span>".replace(" <", "<") in html
    assert reverse("recommendation", args=[loop.pk]) in html
    assert "Synthetic patient" in html
    assert "12 days ago" in html


def test_each_reading_says_whether_it_is_in_the_average_and_why_not(ward, signed_in):
    patient = uncontrolled(ward)
    html = text_of(signed_in("clinician").get(reverse("patient", args=[patient.pk])))
    assert html.count(">used<") == 24
    assert html.count("not used: first day is discarded") == 4


def test_the_history_says_who_took_each_step(ward, signed_in):
    loop = ward.loop_at(LoopState.ACCEPTED)
    html = text_of(signed_in("clinician").get(reverse("recommendation", args=[loop.pk])))
    assert re.search(r"Approved<br><small>[^<]*Clinician Example", html)
    assert re.search(r"Accepted by the patient<br><small>[^<]*the patient", html)


def test_the_trend_is_a_drawing_of_this_patient_and_of_no_other(ward, signed_in):
    patient = uncontrolled(ward)
    where = reverse("patient-trend", args=[patient.pk])
    drawing = signed_in("clinician").get(where)
    assert drawing["Content-Type"].startswith("image/svg+xml")
    assert "target: under 135" in text_of(drawing)
    assert signed_in("other_clinician").get(where).status_code == 404


def test_a_reading_held_back_is_shown_where_it_can_be_looked_at(ward, signed_in):
    patient = admit(ward)
    measured(patient, reading(ward.now, 2047, 80), at=ward.now)
    mine, other = signed_in("clinician"), signed_in("other_clinician")
    assert "2047/80" in text_of(mine.get(reverse("quarantine")))
    assert patient.shown_name in text_of(mine.get(reverse("quarantine")))
    assert patient.shown_name not in text_of(other.get(reverse("quarantine")))
    assert "held back" in text_of(mine.get(reverse("patient", args=[patient.pk])))


def test_an_alert_is_acknowledged_and_then_closed_with_how_it_ended(ward, signed_in):
    patient = admit(ward)
    measured(patient, reading(ward.now, 190, 121), at=ward.now)
    alert = Alert.objects.get(patient=patient, kind="crisis")
    clinician = signed_in("clinician")
    assert "Locks automated advice" in text_of(clinician.get(reverse("patient", args=[patient.pk])))
    clinician.post(reverse("alert-acknowledge", args=[alert.pk]), {"key": "a" * 12})
    alert.refresh_from_db()
    assert alert.acknowledged_by == ward.people["clinician"]
    without = clinician.post(reverse("alert-dispose", args=[alert.pk]), {"key": "b" * 12, "code": ""}, follow=True)
    assert "Choose how it ended" in text_of(without)
    clinician.post(reverse("alert-dispose", args=[alert.pk]), {"key": "c" * 12, "code": "treated", "text": ""})
    alert.refresh_from_db()
    assert alert.disposed_by == ward.people["clinician"]


def test_a_pharmacist_acknowledges_an_alert_and_does_not_close_it(ward, signed_in):
    patient = admit(ward)
    measured(patient, reading(ward.now, 190, 121), at=ward.now)
    alert = Alert.objects.get(patient=patient, kind="crisis")
    assert (
        signed_in("pharmacist").post(reverse("alert-acknowledge", args=[alert.pk]), {"key": "a" * 12}).status_code
        == 303
    )
    sent = signed_in("pharmacist").post(reverse("alert-dispose", args=[alert.pk]), {"key": "c" * 12, "code": "treated"})
    assert sent.status_code == 403


def test_each_choice_costs_the_same_and_none_is_made_beforehand(ward, signed_in):
    loop = proposed(ward, uncontrolled(ward))
    html = text_of(signed_in("clinician").get(reverse("recommendation", args=[loop.pk])))
    kinds = {value.split(":")[0] for value in re.findall(r'name="choice" value="([^"]+)"', html)}
    assert kinds == {"approve", "modify", "reject"}
    assert "checked" not in html
    assert html.count('<div class="choice">') == 3
    assert len(re.findall(r'<button class="button primary" type="submit">', html)) == 1


def test_the_page_of_errors_says_simulation_without_a_database(settings):
    from django.template.loader import render_to_string

    assert SIMULATION in render_to_string("500.html")
