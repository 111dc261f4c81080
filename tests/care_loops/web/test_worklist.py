"""The worklist: most urgent first, only one's own patients, and as many queries for fifty patients as for five."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from care_loops.domain.record import SymptomKind
from care_loops.presenters.worklist import Tab, worklist_shown
from care_loops.selectors.worklist import Risk, worklist
from care_loops.services import acknowledge_alert
from care_loops.services.alerts import escalate_alerts
from governance.services import acting_job
from tests.care_loops.web.ward import admit, felt, measured, proposed, reading, uncontrolled

pytestmark = pytest.mark.django_db


def listed(ward, who="clinician", tab=Tab.NEEDS_A_PERSON, query=""):
    return worklist_shown(worklist(ward.acting(who), now=ward.now), tab=tab, query=query, now=ward.now)


def names(page) -> list[str]:
    return [line.patient.family_name for line in page.lines]


def test_the_most_urgent_comes_first(ward):
    calm = uncontrolled(ward, "Proposal")
    proposed(ward, calm)
    swollen = admit(ward, "Symptom")
    felt(swollen, SymptomKind.COUGH, at=ward.now - timedelta(hours=3))
    low = admit(ward, "Low")
    measured(low, reading(ward.now - timedelta(minutes=5), 84, 50), at=ward.now)
    crisis = admit(ward, "Crisis")
    for minutes in (20, 10):
        measured(crisis, reading(ward.now - timedelta(minutes=minutes), 196, 124), at=ward.now)
    past = admit(ward, "Past")
    measured(past, reading(ward.now - timedelta(days=3), 186, 100), at=ward.now)
    assert list(dict.fromkeys(names(listed(ward)))) == ["Crisis", "Low", "Past", "Proposal", "Symptom"]


def test_an_acknowledged_alert_goes_below_those_nobody_has_seen(ward):
    seen, unseen = admit(ward, "Seen"), admit(ward, "Unseen")
    for patient in (seen, unseen):
        measured(patient, reading(ward.now, 190, 110), at=ward.now)
    acknowledge_alert(seen.alerts.get(kind="crisis").pk, by=ward.acting("clinician"), now=ward.now)
    crises = [item for item in worklist(ward.acting("clinician"), now=ward.now).items if item.alert.kind == "crisis"]
    assert [(i.patient.family_name, i.risk) for i in crises] == [("Unseen", Risk.URGENT), ("Seen", Risk.LOCKED)]


def test_an_alert_that_ran_through_its_whole_list_says_that_nobody_answered(ward):
    patient = admit(ward, "Unanswered")
    measured(patient, reading(ward.now - timedelta(hours=3), 190, 100), at=ward.now - timedelta(hours=3))
    alert = patient.alerts.get(kind="crisis")
    while escalate_alerts(by=acting_job("tests", "clock"), now=ward.now):
        pass
    alert.refresh_from_db()
    assert (alert.level > 0, alert.escalates_at) == (True, None)
    line = next(line for line in listed(ward).lines if "crisis" in line.what)
    assert (line.when, line.late) == ("unanswered for 3 hours, everybody has been paged", True)
    acknowledge_alert(alert.pk, by=ward.acting("clinician"), now=ward.now)
    line = next(line for line in listed(ward).lines if "crisis" in line.what)
    assert (line.when, line.late) == ("raised 3 hours ago", False)


def test_another_team_s_patients_are_not_on_it(ward):
    proposed(ward, uncontrolled(ward, "Mine"))
    proposed(ward, uncontrolled(ward, "Theirs", team=("other_clinician",)))
    assert names(listed(ward)) == ["Mine"]
    assert names(listed(ward, "other_clinician")) == ["Theirs"]
    assert names(listed(ward, "pharmacist")) == ["Mine"]


def test_where_nothing_is_proposed_the_reason_is_listed(ward):
    proposed(ward, admit(ward, "Ageless", born=None))
    page = listed(ward, tab=Tab.WITHHELD)
    assert names(page) == ["Ageless"]
    assert page.lines[0].what == "Because the date of birth is not on record"
    assert names(listed(ward)) == []


def test_an_empty_list_says_so_and_a_name_narrows_it(ward):
    assert listed(ward).empty[0] == "Nothing waits for you"
    admit(ward, "Berg")
    admit(ward, "Stein")
    assert names(listed(ward, tab=Tab.PATIENTS, query="ste")) == ["Stein"]
    assert listed(ward, tab=Tab.PATIENTS, query="zzz").empty[0] == "No patient of that name"


def test_the_counts_stand_on_the_tabs(ward):
    proposed(ward, uncontrolled(ward))
    proposed(ward, admit(ward, "Ageless", born=None))
    counts = {tab.code: tab.count for tab in listed(ward).tabs}
    assert counts.pop("needs_a_person") == 1
    assert counts == {"alerts": 0, "recommendations": 1, "symptoms": 0, "visits": 0, "withheld": 1, "patients": 2}


def test_fifty_patients_take_as_many_queries_as_five(ward, signed_in):
    client = signed_in("clinician")

    def queries() -> int:
        client.get(reverse("worklist"))  # a session notes when it was heard of, at most every 20 s: not in the count
        with CaptureQueriesContext(connection) as seen:
            assert client.get(reverse("worklist")).status_code == 200
        return len(seen)

    def fill(number: int) -> None:
        for n in range(number):
            patient = admit(ward, f"Patient{n}", born=None)
            measured(patient, reading(ward.now, 190, 110), at=ward.now)
            felt(patient, SymptomKind.COUGH, at=ward.now)
            proposed(ward, patient)

    fill(5)
    few = queries()
    fill(45)
    assert queries() == few
    assert few <= 29  # one asks what is known to be wrong and waits; three tell the connection what it sees


def test_an_unknown_tab_is_the_first_one(ward, signed_in):
    answer = signed_in("clinician").get(reverse("worklist"), {"show": "nonsense"})
    assert answer.status_code == 200
    assert b"Nothing waits for you" in answer.content
