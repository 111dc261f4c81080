"""A decision on a page: signed once, with a reason, by one person."""

import json
import re

import pytest
from django.urls import reverse

from care_loops.domain.loops import DecisionKind
from care_loops.models import Decision, Loop, Target
from care_loops.presenters.changes import change_shown
from care_loops.services import DecisionInput, decide, join_care_team
from governance.domain import Role
from tests.care_loops.web.ward import measured, reading, uncontrolled, with_advice
from tests.factories import Hospital, hospital_now

pytestmark = pytest.mark.django_db


@pytest.fixture
def ward(db, built, request) -> Hospital:
    """A site, with a recommendation where the test is about one."""
    return built.once(with_advice if "loop" in request.fixturenames else hospital_now, fresh_s=120)


@pytest.fixture
def loop(ward) -> Loop:
    return Loop.objects.get()


def form_of(client, loop) -> dict[str, str]:
    """The hidden fields of the decision form, as a browser would send them."""
    html = client.get(reverse("recommendation", args=[loop.pk])).content.decode()
    found = re.search(r"<form[^>]*data-decision.*?</form>", html, re.DOTALL).group(0)
    hidden = dict(re.findall(r'<input type="hidden" name="(key|seen_version)" value="([^"]+)"', found))
    alternatives = re.findall(r'value="(modify:[^"]+)"', found)
    return hidden | {"first": alternatives[0]}


def send(client, loop, **fields):
    return client.post(reverse("recommendation", args=[loop.pk]), fields)


@pytest.mark.parametrize(("choice", "state"), [("approve", "approved"), ("reject", "rejected"), ("modify", "modified")])
def test_a_choice_with_a_reason_is_signed(ward, signed_in, loop, choice, state):
    client = signed_in("clinician")
    form = form_of(client, loop)
    chosen = form.pop("first") if choice == "modify" else choice
    form.pop("first", None)
    answer = send(client, loop, **form, choice=chosen, reason_code="patient_preference", free_text="as agreed")
    assert answer.status_code == 303
    decision = Decision.objects.get(loop=loop)
    assert Loop.objects.get(pk=loop.pk).state == state
    assert (decision.decided_by, decision.free_text) == (ward.people["clinician"], "as agreed")
    html = client.get(answer["Location"]).content.decode()
    assert f"Clinician Example {state}" in html
    assert "The patient prefers it" in html


def test_once_modified_what_was_prescribed_stands_at_the_head_and_in_the_history(signed_in, loop):
    client = signed_in("clinician")
    form = form_of(client, loop)
    send(client, loop, **form, choice=form.pop("first"), reason_code="patient_preference", free_text="")
    decision = Decision.objects.get(loop=loop)
    proposed, prescribed = (
        change_shown(json.loads(change)).sentence for change in (decision.original_change, decision.final_change)
    )
    assert proposed != prescribed
    page = client.get(reverse("recommendation", args=[loop.pk])).content.decode()
    assert prescribed in re.search(r'<h1 id="change-head".*?</h1>', page, re.DOTALL).group(0)
    history = client.get(reverse("patient", args=[loop.patient_id])).content.decode()
    assert prescribed in history
    assert proposed not in history


@pytest.mark.parametrize("missing", ["choice", "reason_code", "seen_version", "key"])
def test_what_is_missing_is_asked_for_and_nothing_is_decided(signed_in, loop, missing):
    client = signed_in("clinician")
    form = form_of(client, loop)
    form.pop("first")
    fields = form | {"choice": "approve", "reason_code": "agrees_with_plan"}
    fields.pop(missing)
    assert send(client, loop, **fields).status_code == 422
    assert not Decision.objects.filter(loop=loop).exists()


def test_the_other_reason_needs_words(signed_in, loop):
    client = signed_in("clinician")
    form = form_of(client, loop)
    form.pop("first")
    answer = send(client, loop, **form, choice="reject", reason_code="other", free_text="")
    assert answer.status_code == 422
    assert "Say in words what the other reason is." in answer.content.decode()


def test_sent_twice_it_acts_once_and_answers_the_same(signed_in, loop):
    client = signed_in("clinician")
    form = form_of(client, loop)
    form.pop("first")
    fields = form | {"choice": "approve", "reason_code": "agrees_with_plan"}
    first, second = send(client, loop, **fields), send(client, loop, **fields)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first["Location"] == second["Location"]
    assert Decision.objects.filter(loop=loop).count() == 1


def test_the_same_form_with_other_content_is_refused(signed_in, loop):
    client = signed_in("clinician")
    form = form_of(client, loop)
    form.pop("first")
    send(client, loop, **form, choice="approve", reason_code="agrees_with_plan")
    again = send(client, loop, **form, choice="reject", reason_code="side_effect")
    assert again.status_code == 422
    assert Loop.objects.get(pk=loop.pk).state == "approved"


def test_the_loser_of_a_race_is_told_who_decided_what(ward, signed_in, loop):
    join_care_team(
        loop.patient_id, ward.people["other_clinician"].pk, responsible=False, by=ward.acting("admin"), now=ward.now
    )
    loser = signed_in("other_clinician")
    form = form_of(loser, loop)
    form.pop("first")
    chosen = DecisionInput(DecisionKind.REJECT, "side_effect", "", loop.version)
    decide(loop.pk, chosen, by=ward.acting("clinician"), now=ward.now)
    answer = send(loser, loop, **form, choice="approve", reason_code="agrees_with_plan")
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "Clinician Example" in html
    assert "rejected" in html
    assert Decision.objects.get(loop=loop).decided_by == ward.people["clinician"]


def test_a_clinician_without_the_role_any_more_cannot_decide(ward, signed_in, loop):
    from governance.services.accounts import revoke_role

    client = signed_in("clinician")
    form = form_of(client, loop)
    form.pop("first")
    revoke_role(ward.people["clinician"].pk, Role.CLINICIAN, by=ward.acting("admin"), now=ward.now)
    assert send(client, loop, **form, choice="approve", reason_code="agrees_with_plan").status_code == 403


def test_an_approved_change_is_recalled_with_a_reason(signed_in, loop):
    client = signed_in("clinician")
    form = form_of(client, loop)
    form.pop("first")
    send(client, loop, **form, choice="approve", reason_code="agrees_with_plan")
    html = client.get(reverse("recommendation", args=[loop.pk])).content.decode()
    assert "Recall this change" in html
    where = reverse("recommendation-recall", args=[loop.pk])
    assert client.post(where, {"key": "r" * 12, "reason_code": ""}).status_code == 422
    assert client.post(where, {"key": "s" * 12, "reason_code": "side_effect", "free_text": ""}).status_code == 303
    assert Loop.objects.get(pk=loop.pk).state == "recalled"


def test_a_target_is_signed_and_an_impossible_one_is_not(ward, signed_in, loop):
    client = signed_in("clinician")
    where = reverse("patient-target", args=[loop.patient_id])
    wrong = client.post(where, {"key": "t" * 12, "systolic_below": "80", "diastolic_below": "85"})
    assert wrong.status_code == 422
    assert "Systolic must lie above diastolic." in wrong.content.decode()
    assert client.post(where, {"key": "u" * 12, "systolic_below": "130", "diastolic_below": "80"}).status_code == 303
    assert Target.objects.filter(patient=loop.patient).count() == 2


def test_a_boundary_is_signed_and_an_endless_one_is_not(ward, signed_in, loop):
    from datetime import timedelta

    client = signed_in("clinician")
    where = reverse("patient-boundary", args=[loop.patient_id])
    fields = {"most_29046": "20", "max_steps": "2", "min_interval_days": "28", "key": "b" * 12}
    endless = client.post(where, fields | {"expires_on": (ward.now + timedelta(days=400)).date().isoformat()})
    assert endless.status_code == 422
    good = fields | {"expires_on": (ward.now + timedelta(days=90)).date().isoformat(), "key": "c" * 12}
    assert client.post(where, good).status_code == 303
    boundary = loop.patient.boundaries.get()
    assert [(d.ingredient, str(d.max_daily_dose_mg)) for d in boundary.drugs.all()] == [("29046", "20.000")]


def test_an_order_is_written_without_a_proposal(ward, signed_in):
    patient = uncontrolled(ward)
    client = signed_in("clinician")
    where = reverse("patient-order", args=[patient.pk])
    html = client.get(where).content.decode()
    key = re.search(r'name="candidate_key" value="(step_down[^"]+)"', html).group(1)
    answer = client.post(where, {"key": "o" * 12, "candidate_key": key, "reason_code": "side_effect"})
    assert answer.status_code == 303
    order = Loop.objects.get(patient=patient)
    assert (order.origin, order.state) == ("order", "modified")
    assert answer["Location"] == reverse("recommendation", args=[order.pk])
    page = client.get(answer["Location"]).content.decode()
    assert "Ordered and signed" in page
    assert "Clinician Example ordered it" in page
    assert "Proposed was" not in page


def test_an_order_beside_a_change_on_its_way_is_refused_when_the_form_opens_and_leads_to_the_recall(ward, signed_in):
    patient = uncontrolled(ward)
    client, where = signed_in("clinician"), reverse("patient-order", args=[patient.pk])
    html = client.get(where).content.decode()
    assert "on its way" not in html
    key = re.search(r'name="candidate_key" value="(step_down[^"]+)"', html).group(1)
    first = {"key": "o" * 12, "candidate_key": key, "reason_code": "side_effect"}
    there = client.post(where, first)["Location"]
    opened = client.get(where)
    late = client.post(where, first | {"key": "p" * 12})  # the form stood open since before
    assert (opened.status_code, late.status_code) == (200, 409)
    for answer in (opened, late):
        page = answer.content.decode()
        assert "A change is already on its way to the patient: recall it first." in page
        assert f'href="{there}#recall"' in page
        assert "Sign the order" not in page
    assert "Nothing of yours was recorded" in late.content.decode()
    assert 'id="recall"' in client.get(there).content.decode()
    assert client.post(where, first).status_code == 303  # sent twice: the same answer, once done
    assert Loop.objects.filter(patient=patient).count() == 1


def test_a_page_seen_before_something_changed_cannot_be_signed(signed_in, loop):
    client = signed_in("clinician")
    form = form_of(client, loop)
    form.pop("first")
    form["seen_version"] = "1"
    answer = send(client, loop, **form, choice="approve", reason_code="agrees_with_plan")
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "This recommendation has changed since you opened it." in html
    assert "Sign and record my decision" in html  # as it stands now, to be decided afresh
    assert not Decision.objects.filter(loop=loop).exists()


def test_a_rule_that_stops_an_order_is_overridden_by_name_and_in_words(ward, signed_in):
    patient = uncontrolled(ward)  # on an ACE inhibitor
    client, where = signed_in("clinician"), reverse("patient-order", args=[patient.pk])
    html = client.get(where).content.decode()
    key = re.search(r'name="candidate_key" value="(start:52175[^"]+)"', html).group(1)  # an ARB beside it
    fields = {"candidate_key": key, "reason_code": "agrees_with_plan"}
    stopped = client.post(where, fields | {"key": "a" * 12})
    assert stopped.status_code == 409
    assert "ACE inhibitor with ARB (dual RAS)." in stopped.content.decode()
    named = {"override": re.findall(r'name="override" value="([^"]+)"', html)}
    wordless = client.post(where, fields | named | {"key": "b" * 12})
    assert wordless.status_code == 422
    assert "Say in words why the rule is overridden." in wordless.content.decode()
    done = client.post(where, fields | named | {"key": "c" * 12, "free_text": "changing over, will stop the other"})
    assert done.status_code == 303
    assert Loop.objects.get(patient=patient).state == "modified"


def test_a_danger_stops_no_order_of_a_clinician(ward, signed_in):
    patient = uncontrolled(ward)
    measured(patient, reading(ward.now, 190, 110), at=ward.now)
    client, where = signed_in("clinician"), reverse("patient-order", args=[patient.pk])
    html = client.get(where).content.decode()
    assert "A danger rule stands" in html
    key = re.search(r'name="candidate_key" value="(step_up:29046[^"]+)"', html).group(1)
    sent = {"key": "d" * 12, "candidate_key": key, "reason_code": "agrees_with_plan"}
    assert client.post(where, sent).status_code == 303
