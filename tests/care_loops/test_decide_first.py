"""Deciding first: drawn by a key, hidden on every road until answered, both answers kept, walked around by none."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from audit.selectors import payload_of
from audit.services import keys
from care_loops.domain.changes import STAY
from care_loops.domain.evidence import Outcome, candidate_key
from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.freeze import thaw
from care_loops.models import DecideFirst, Decision, FirstAnswer, FirstRule, Loop
from care_loops.oversight.first import OTHER, FirstRules, amounts_to, drawn_first
from care_loops.oversight.first import STAY as NO_CHANGE
from care_loops.pathways.hypertension.tables_oversight import first_rules, parse_first
from care_loops.policies import AnsweredAlready, AnswerFirst, Changed
from care_loops.selectors.access import loop_for
from care_loops.selectors.first import drawn_in
from care_loops.selectors.oversight import own_figures
from care_loops.services import DecisionInput, decide, join_care_team
from care_loops.services.first import AnswerInput, answer_first, begin_decide_first
from care_loops.services.moves import lock
from governance.domain import BadInput, NotAllowed, NotFound, Permission
from tests.factories import Hospital, job
from tests.signing_in import signed_in

KEY = bytes(range(32))


# --- the draw, as a rule ----------------------------------------------------------------------------------------------


def test_about_the_rate_is_drawn_and_another_key_draws_others():
    names = [str(UUID(int=n)) for n in range(20_000)]
    first = {name for name in names if drawn_first(KEY, name, permille=125)}
    other = {name for name in names if drawn_first(KEY[::-1], name, permille=125)}
    for drawn in (first, other):
        assert 0.115 < len(drawn) / len(names) < 0.135
    assert 0.1 < len(first & other) / len(first) < 0.15, "who lacks the key learns nothing"


@given(st.binary(min_size=32, max_size=32), st.uuids(), st.integers(0, 1000))
def test_a_higher_rate_never_leaves_out_what_a_lower_one_drew(key, name, permille):
    if drawn_first(key, str(name), permille=permille):
        assert drawn_first(key, str(name), permille=1000)
    assert not drawn_first(key, str(name), permille=0)


def test_the_file_says_at_least_a_tenth_and_a_smaller_rate_is_refused():
    assert first_rules().permille >= 100
    with pytest.raises(ValueError, match="at least 100"):
        FirstRules("x", 99)
    with pytest.raises(ValueError, match="source and a mark"):
        parse_first(b'{"version": "x", "rows": [{"name": "permille", "value": 125, "source": "", "mark": "checked"}]}')


def test_what_an_answer_amounts_to():
    assert amounts_to("step_up:1", "step_up:1") == "approve"
    assert amounts_to(NO_CHANGE, "step_up:1") == "reject"
    assert amounts_to("step_up:2", "step_up:1") == amounts_to(OTHER, "step_up:1") == "modify"


# --- in the house -----------------------------------------------------------------------------------------------------

house = pytest.mark.django_db


@pytest.fixture
def site(db, settings):
    """A rule that draws everything, begun before the proposal came; another clinician is in the team."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    hospital = Hospital(now=timezone.now().replace(microsecond=0) - timedelta(hours=2))
    everything(hospital)
    hospital.loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    other = hospital.people["other_clinician"]
    for who in (other, hospital.people["pharmacist"]):
        join_care_team(
            hospital.loop.patient_id, who.pk, responsible=False, by=hospital.acting("admin"), now=hospital.now
        )
    return hospital


def everything(hospital) -> FirstRule:
    """A site that asks first of every proposal: a stricter rule than ships."""
    rules = FirstRules("decide-first/all", 1000)
    return begin_decide_first(by=job(), now=hospital.now - timedelta(days=1), rules=rules)


def proposed(loop) -> str:
    return candidate_key(thaw(Loop.objects.get(pk=loop.pk).outcome, Outcome).change)


def answers(site, who="clinician", answer=None, text="", loop=None):
    loop = loop or site.loop
    said = AnswerInput(answer or proposed(loop), text, loop.version)
    return answer_first(loop.pk, said, by=site.acting(who), now=site.now)


def approves(site, who="clinician"):
    chosen = DecisionInput(DecisionKind.APPROVE, "agrees_with_plan", "", site.loop.version)
    return decide(site.loop.pk, chosen, by=site.acting(who), now=site.now)


@house
def test_the_rule_is_begun_once_and_says_so_in_the_record(db):
    Hospital()
    begun = begin_decide_first(by=job(), now=timezone.now())
    assert payload_of(begun.entry) == {"rules": "decide-first/1", "permille": 125}
    assert begin_decide_first(by=job(), now=timezone.now()) is None
    with connection.cursor() as cursor, pytest.raises(DatabaseError), transaction.atomic():
        cursor.execute("UPDATE care_loops_firstrule SET permille = 0")


@house
def test_before_a_rule_is_begun_nothing_is_drawn_and_after_it_the_key_says_what_is(db):
    hospital = Hospital()
    hospital.loop_at(LoopState.WITH_CLINICIAN)
    assert not DecideFirst.objects.exists()
    begin_decide_first(by=job(), now=hospital.now + timedelta(minutes=1))
    hospital.now += timedelta(minutes=2)
    loops = [hospital.loop_at(LoopState.WITH_CLINICIAN) for _ in range(2)]
    for loop in loops:
        expected = drawn_first(keys.tenant_key(), str(loop.pk), permille=125)
        assert DecideFirst.objects.filter(loop=loop).exists() is expected
    found = drawn_in(hospital.now - timedelta(days=7), hospital.now + timedelta(days=7))
    assert (found.proposals, found.differing) == (2, 0)


@house
def test_the_entry_says_that_it_was_drawn_and_the_draw_can_be_done_again(site):
    whole = (site.now - timedelta(days=7), site.now + timedelta(days=7))
    assert (drawn_in(*whole).proposals, drawn_in(*whole).drawn, drawn_in(*whole).differing) == (1, 1, 0)
    left_out = site.patient()
    site.weeks(left_out, *[(150, 92)] * 5)
    loop = site.close(left_out)
    assert DecideFirst.objects.filter(loop=loop).exists()
    assert payload_of(DecideFirst.objects.get(loop=loop).entry)["decide_first"] == "decide-first/all"
    assert drawn_in(*whole).drawn == 2


@house
def test_a_proposal_that_was_put_among_the_drawn_by_hand_is_counted(db):
    hospital = Hospital()
    begin_decide_first(by=job(), now=hospital.now - timedelta(days=1))
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    while DecideFirst.objects.filter(loop=loop).exists():  # one in eight is drawn by the key itself
        loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    with connection.cursor() as cursor:
        row = [loop.pk, FirstRule.objects.get().pk, loop.steps.last().entry]
        cursor.execute("INSERT INTO care_loops_decidefirst (loop_id, rule_id, entry) VALUES (%s, %s, %s)", row)
    assert drawn_in(hospital.now - timedelta(days=7), hospital.now + timedelta(days=7)).differing == 1


@house
def test_an_order_of_a_clinicians_own_is_not_drawn(site):
    from care_loops.services import OrderInput, order_candidates, write_order

    patient = site.patient()
    candidate = next(c for c in order_candidates(patient, now=site.now) if not c.barred and c.change != STAY)
    order = OrderInput(candidate_key(candidate.change), "agrees_with_plan", "")
    made = write_order(patient.pk, order, by=site.acting("clinician"), now=site.now)
    assert not DecideFirst.objects.filter(loop=made).exists()


@house
def test_nobody_decides_before_they_have_answered_themself(site):
    with pytest.raises(AnswerFirst):
        approves(site)
    answers(site, "other_clinician")
    with pytest.raises(AnswerFirst):
        approves(site)
    answers(site)
    assert approves(site).kind == "approve"


@house
def test_both_answers_are_kept_and_measured(site):
    said = answers(site, answer=NO_CHANGE)
    assert (said.amounts_to, said.answer) == ("reject", NO_CHANGE)
    assert payload_of(said.entry)["answer"] == NO_CHANGE
    approves(site)
    own = own_figures(site.acting("clinician"), now=timezone.now()).figures
    assert (own.first.k, own.first.n) == (0, 1)
    assert (own.unseen.k, own.switched.k, own.switched.n) == (0, 1, 1)


@house
def test_an_answer_is_one_of_what_could_be_done_once_and_of_what_was_shown(site):
    for wrong in ("step_up:nothing", "", "approve"):
        with pytest.raises(BadInput):
            answers(site, answer=wrong or " ")
    with pytest.raises(BadInput, match="in words"):
        answers(site, answer=OTHER)
    with pytest.raises(Changed):
        answer_first(site.loop.pk, AnswerInput(NO_CHANGE, "", 1), by=site.acting("clinician"), now=site.now)
    answers(site, answer=OTHER, text="talk about salt first")
    with pytest.raises(AnsweredAlready):
        answers(site, answer=NO_CHANGE)
    for who in ("pharmacist", "admin", "engineer"):
        with pytest.raises((NotAllowed, NotFound)):
            answers(site, who)


@house
def test_what_was_not_drawn_is_not_asked(db):
    hospital = Hospital()
    loop = hospital.loop_at(LoopState.WITH_CLINICIAN)
    with pytest.raises(BadInput, match="not drawn"):
        answers(hospital, loop=loop)


# --- hidden on every road ---------------------------------------------------------------------------------------------


def sentence(site) -> str:
    """What was proposed, in the words of the page."""
    from care_loops.presenters.changes import change_shown

    return change_shown(json.loads(Loop.objects.get(pk=site.loop.pk).outcome)["change"]).sentence


def pages(site):
    loop = site.loop
    return {
        "recommendation": reverse("recommendation", args=[loop.pk]),
        "worklist": reverse("worklist"),
        "patient": reverse("patient", args=[loop.patient_id]),
        "api": f"/api/v1/recommendations/{loop.pk}",
        "api worklist": "/api/v1/worklist",
    }


@house
def test_on_no_page_and_no_door_does_the_proposal_stand_before_the_answer(site):
    client, words = signed_in(site.people["clinician"]), sentence(site)
    stored = json.loads(site.loop.outcome)
    for name, address in pages(site).items():
        shown = client.get(address)
        assert shown.status_code == 200, name
        if name in ("recommendation", "api"):  # there it is one of what could be done, and nothing tells it apart
            assert shown.content.decode().count(words) == 1, name
        else:
            assert words not in shown.content.decode(), name
            assert "step_up" not in shown.content.decode(), name
    for reason in (stored["prediction"] or {}).get("reasons", []):
        assert reason not in client.get(pages(site)["recommendation"]).content.decode()
    api = client.get(pages(site)["api"]).json()
    assert api["decide_first"] is True
    listed = [one["key"] for one in api["candidates"]]
    assert listed == sorted(listed)
    assert not any(one["rules"] or one["barred"] for one in api["candidates"])
    refused = client.post(
        pages(site)["recommendation"],
        {"key": "k" * 12, "choice": "approve", "reason_code": "", "free_text": "", "seen_version": site.loop.version},
    )
    assert refused.status_code == 409
    assert words not in refused.content.decode()
    assert not Decision.objects.exists()


@house
def test_the_pharmacist_sees_it_and_so_does_the_clinician_who_has_answered_and_nobody_else(site):
    words, address = sentence(site), pages(site)["recommendation"]
    page = {who: signed_in(site.people[who]) for who in ("clinician", "other_clinician", "pharmacist")}
    assert words in page["pharmacist"].get(address).content.decode()
    posted = page["clinician"].post(
        reverse("first-answer", args=[site.loop.pk]),
        {"key": "k" * 12, "answer": NO_CHANGE, "free_text": "", "seen_version": site.loop.version},
    )
    assert (posted.status_code, posted["Location"]) == (303, address)
    assert "Your decision" in page["clinician"].get(address).content.decode()
    assert "What would you do?" in page["other_clinician"].get(address).content.decode()
    assert FirstAnswer.objects.get().person == site.people["clinician"]


@house
def test_a_form_without_an_answer_is_shown_again_without_the_proposal(site):
    client = signed_in(site.people["clinician"])
    shown = client.post(
        reverse("first-answer", args=[site.loop.pk]), {"key": "k" * 12, "seen_version": site.loop.version}
    )
    assert shown.status_code == 422
    assert "Choose what you would do" in shown.content.decode()
    assert not FirstAnswer.objects.exists()


@house
def test_a_tool_answers_first_too(site):
    client, address = signed_in(site.people["clinician"]), f"/api/v1/recommendations/{site.loop.pk}"
    body = {"answer": NO_CHANGE, "seen_version": site.loop.version}
    done = client.post(f"{address}/first-answer", json.dumps(body), content_type="application/json")
    assert done.status_code == 200, done.content
    assert done.json()["answer"] == NO_CHANGE
    assert client.get(address).json()["decide_first"] is False
    again = client.post(f"{address}/first-answer", json.dumps(body), content_type="application/json")
    assert again.status_code == 409


@house
def test_a_veiled_recommendation_is_veiled_in_memory_alone(site):
    veiled = loop_for(site.acting("clinician"), site.loop.pk, Permission.READ_RECORD, now=site.now)
    assert veiled.asks_first
    assert json.loads(veiled.outcome)["change"] is None
    assert Loop.objects.get(pk=site.loop.pk).outcome == site.loop.outcome


# --- ways around ------------------------------------------------------------------------------------------------------


@house
def test_the_database_keeps_no_decision_of_who_has_not_answered(site):
    """The service taken out: the move itself, with everything signed, is refused by the database."""
    from care_loops.services.decide import _final, sign_decision

    chosen = DecisionInput(DecisionKind.REJECT, "patient_preference", "", site.loop.version)
    with transaction.atomic():
        loop = lock(site.loop.pk)
        outcome = thaw(loop.outcome, Outcome)
        final, by = _final(outcome, chosen), site.acting("clinician")
        with pytest.raises(DatabaseError, match="has not said first"), transaction.atomic():
            sign_decision(loop, outcome.change, final, chosen, by=by, now=site.now)
    assert not Decision.objects.exists()


@house
def test_no_answer_is_written_for_another_nor_after_the_decision_nor_of_what_was_not_drawn(site):
    said = answers(site)
    row = {"answer": NO_CHANGE, "amounts_to": "reject", "said_at": site.now, "entry": said.entry}
    with pytest.raises(DatabaseError), transaction.atomic():
        FirstAnswer.objects.create(loop=site.loop, person=site.people["other_clinician"], **row)
    approves(site)
    with pytest.raises(DatabaseError), transaction.atomic():
        FirstAnswer.objects.create(loop=site.loop, person=site.people["other_clinician"], **row)
    for sql in (
        "UPDATE care_loops_firstanswer SET amounts_to = 'modify'",
        "DELETE FROM care_loops_firstanswer",
        "DELETE FROM care_loops_decidefirst",
    ):
        with connection.cursor() as cursor, pytest.raises(DatabaseError), transaction.atomic():
            cursor.execute(sql)


@house
def test_nothing_is_drawn_once_it_is_decided(db):
    hospital = Hospital()
    loop = hospital.loop_at(LoopState.REJECTED)
    rule = everything(hospital)
    with pytest.raises(DatabaseError, match="nothing comes first"), transaction.atomic():
        DecideFirst.objects.create(loop=loop, rule=rule, entry=rule.entry)
