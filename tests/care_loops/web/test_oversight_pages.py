"""The pages of oversight: what is stopped, findings, incidents, adverse events, autonomy; each opened and acted on."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse

from governance.domain import Role
from governance.models import AutonomyStep, Finding, Incident, Suspension
from governance.selectors.suspensions import standing
from models.registry.models import ModelVersion
from tests.care_loops.standing import commits

PAGES = ["oversight", "findings", "incidents", "adverse-events", "autonomy"]
OTHERS = {
    "auditor": Role.AUDITOR,
    "officer": Role.COMPLIANCE_OFFICER,
    "lead": Role.RESPONSIBLE_AI_LEAD,
    "devops": Role.DEVOPS_ENGINEER,
    "manager": Role.PROJECT_MANAGER,
}


@pytest.fixture
def people(ward):
    """Everybody who oversees."""
    for name, role in OTHERS.items():
        ward.join(name, role, now=ward.now)
    commits()  # what stood before anything was stopped had been committed
    return ward


def key() -> str:
    return uuid4().hex


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("who", ["clinician", "engineer", *OTHERS])
def test_each_page_opens_empty_for_whoever_oversees_and_is_in_their_navigation(people, signed_in, who, name):
    answer = signed_in(who).get(reverse(name))
    assert answer.status_code == 200
    assert b"Oversight" in answer.content
    assert b"<script>" not in answer.content
    assert b"style=" not in answer.content


@pytest.mark.parametrize("who", ["lead", "manager", "devops", "engineer", "auditor"])
def test_whoever_signs_in_lands_on_a_page_of_theirs(people, signed_in, who):
    answer = signed_in(who).get("/", follow=True)
    assert answer.redirect_chain
    assert answer.status_code == 200


def test_the_switch_is_thrown_on_its_page_shown_on_every_page_and_counted(people, signed_in):
    client = signed_in("clinician")
    sent = {"key": key(), "scope": "everything", "name": "", "reason": "doses look wrong"}
    assert client.post(reverse("oversight"), sent).status_code == 303
    assert [one.cause.value for one in standing()] == ["kill_switch"]
    for path in ("/worklist/", reverse("oversight"), reverse("findings")):
        assert b"Everything (the kill switch)" in client.get(path).content
    figures = client.get("/metrics").content.decode()
    assert "clinaiops_kill_switch 1" in figures
    assert "clinaiops_suspensions 1" in figures
    page = client.get(reverse("oversight")).content
    assert b"another person ends it" in page
    row = Suspension.objects.get()
    assert client.get(reverse("suspension-end", args=[row.pk])).status_code == 200
    refused = client.post(reverse("suspension-end", args=[row.pk]), {"key": key(), "reason": "x"})
    assert refused.status_code == 403


def test_its_end_is_asked_and_signed_on_the_pages(people, signed_in):
    signed_in("clinician").post(
        reverse("oversight"), {"key": key(), "scope": "everything", "name": "", "reason": "a drill"}
    )
    at = reverse("suspension-end", args=[Suspension.objects.get().pk])
    lead, officer = signed_in("lead"), signed_in("officer")
    assert officer.post(at, {"key": key(), "reason": "over"}).status_code == 409
    assert lead.post(at, {"key": key(), "reason": "over", "ask": "1"}).status_code == 303
    assert officer.post(at, {"key": key(), "reason": "over", "ask": ""}).status_code == 303
    assert not standing()
    assert b"Ended in the last 90 days" in officer.get(reverse("oversight")).content


@pytest.mark.parametrize(
    "wrong",
    [{"scope": "model", "name": ""}, {"scope": "everything", "name": "x"}, {"reason": ""}, {"scope": "moon"}],
    ids=str,
)
def test_what_cannot_be_read_is_said_beside_its_field(people, signed_in, wrong):
    sent = {"key": key(), "scope": "everything", "name": "", "reason": "x"} | wrong
    assert signed_in("clinician").post(reverse("oversight"), sent).status_code == 422
    assert not standing()


def test_who_may_not_throw_sees_no_switch_and_is_refused(people, signed_in):
    client = signed_in("auditor")
    assert b"Stop it now" not in client.get(reverse("oversight")).content
    sent = {"key": key(), "scope": "everything", "name": "", "reason": "x"}
    assert client.post(reverse("oversight"), sent).status_code == 403
    assert not standing()


def test_a_finding_goes_its_way_on_the_pages(people, signed_in):
    auditor, officer, engineer = signed_in("auditor"), signed_in("officer"), signed_in("engineer")
    sent = {
        "key": key(),
        "title": "Steps are too large",
        "cause": "wrong_change",
        "subject": "model",
        "name": "home_bp",
        "severity": "critical",
        "evidence_kind": "entry",
        "evidence": "e-1",
        "text": "",
    }
    assert auditor.get(reverse("finding-new")).status_code == 200
    assert auditor.post(reverse("finding-new"), sent).status_code == 303
    finding = Finding.objects.get()

    def step(client, act, **said):
        at = reverse(f"finding-{act}", args=[finding.pk])
        assert client.get(at).status_code == 200
        return client.post(at, {"key": key()} | said).status_code

    assert [one.name for one in standing()] == ["home_bp"]
    assert step(officer, "own", owner="nobody", due_at="") == 422
    assert step(officer, "own", owner="engineer", due_at="") == 303
    assert step(engineer, "action", said="smaller steps") == 303
    assert step(auditor, "back", said="no proof") == 303
    assert step(engineer, "action", said="smaller steps, tested") == 303
    assert step(auditor, "check", said="looked at it") == 303
    assert step(auditor, "close", said="x") == 403
    assert step(officer, "close", said="looked at it too") == 303
    assert b"closed" in auditor.get(reverse("finding", args=[finding.pk])).content
    assert auditor.get(reverse("finding", args=[uuid4()])).status_code == 404


def test_an_incident_with_its_clocks_whom_it_touches_and_its_files(people, signed_in):
    from care_loops.domain.loops import LoopState

    loop = people.loop_at(LoopState.WITH_CLINICIAN)
    clinician, officer, auditor = signed_in("clinician"), signed_in("officer"), signed_in("auditor")
    sent = {
        "key": key(),
        "title": "Wrong doses",
        "subject": "pathway",
        "name": "hypertension",
        "happened_from": "2020-01-01T00:00",
        "happened_until": people.now.strftime("%Y-%m-%dT%H:%M:%S"),
        "aware_at": people.now.strftime("%Y-%m-%dT%H:%M:%S"),
        "of": "serious_incident",
        "said": "",
    }
    assert (
        clinician.post(reverse("incident-new"), sent | {"key": key(), "aware_at": "2999-01-01T00:00"}).status_code
        == 422
    )
    assert clinician.post(reverse("incident-new"), sent).status_code == 303
    incident = Incident.objects.get()
    page = auditor.get(reverse("incident", args=[incident.pk])).content.decode()
    assert "Art. 87(3)" in page
    assert str(loop.patient_id) not in page
    assert loop.patient.family_name not in page
    step = {
        "key": key(),
        "state": "assessed",
        "of": "serious_incident",
        "authority": "",
        "reference": "",
        "said": "so it is",
    }
    assert officer.post(reverse("incident-step", args=[incident.pk]), step).status_code == 303
    at = reverse("incident-export", args=[incident.pk])
    assert auditor.get(at).json()["touched"][0]["recommendation"] == str(loop.pk)
    assert auditor.get(f"{at}?form=csv").content.startswith(b"patient,recommendation")
    assert auditor.get(f"{at}?form=exe").status_code == 400
    assert signed_in("devops").get(at).status_code == 403


def test_an_adverse_event_is_reported_for_a_patient_of_one_s_own(people, signed_in):
    patient = people.patient()
    at = reverse("adverse-event-new", args=[patient.pk])
    when = people.now.strftime("%Y-%m-%dT%H:%M:%S")
    sent = {
        "key": key(),
        "kind": "syncope",
        "of": "serious_incident",
        "onset_at": when,
        "known_at": when,
        "words": "fell",
    }
    clinician = signed_in("clinician")
    assert clinician.get(at).status_code == 200
    assert clinician.post(at, sent).status_code == 303
    assert patient.adverse_events.get().kind == "syncope"
    assert b"Fainting 1" in clinician.get(reverse("adverse-events")).content
    assert signed_in("other_clinician").get(at).status_code == 404


def test_a_gate_is_asked_for_and_signed_on_the_pages(people, signed_in):
    other = ModelVersion.objects.exclude(active=True).first()
    clinician, pharmacist = signed_in("clinician"), signed_in("pharmacist")
    at = reverse("autonomy-ask", args=[other.pk])
    sent = {"key": key(), "level": "suggest", "cohorts": ["age_under_65"], "actions": ["step_up"]}
    assert clinician.get(at).status_code == 200
    refused = clinician.post(at, sent)
    assert refused.status_code == 422
    assert b"Two people other than its author" in refused.content
    served = ModelVersion.objects.get(active=True)
    assert b"within the boundary" in clinician.get(reverse("autonomy")).content
    assert clinician.post(reverse("autonomy-ask", args=[served.pk]), sent | {"key": key()}).status_code == 303
    page = pharmacist.get(reverse("autonomy")).content.decode()
    assert "Look and sign" in page
    gate = page.split("/oversight/autonomy/gates/")[1].split("/")[0]
    steps = AutonomyStep.objects.count()
    assert pharmacist.post(reverse("autonomy-sign", args=[gate]), {"key": key()}).status_code == 303
    assert AutonomyStep.objects.count() == steps  # it stands higher already: a gate never lowers
    assert pharmacist.get(reverse("autonomy-sign", args=[uuid4()])).status_code == 404
