"""Oversight is measured from what people did: what they opened, how they decided, who may see it."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from care_loops.domain.loops import DecisionKind, LoopState
from care_loops.models import Alert, Decision, Look
from care_loops.selectors.oversight import oversight, own_figures
from care_loops.services import DecisionInput, decide, record_access
from governance.domain import Role
from tests.factories import Hospital
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Hospital(now=timezone.now().replace(microsecond=0) - timedelta(days=10))


def waiting(site, *team):
    patient = site.patient(team=team or ("clinician",))
    site.weeks(patient, *[(150, 92)] * 5)
    return site.close(patient)


def decides(site, loop, who, kind=DecisionKind.APPROVE):
    reason = "agrees_with_plan" if kind is DecisionKind.APPROVE else "patient_preference"
    return decide(loop.pk, DecisionInput(kind, reason, "", loop.version), by=site.acting(who), now=site.now)


def three(site):
    """Three clinicians of one team decide a proposal each."""
    site.join("third", Role.CLINICIAN, now=site.now - timedelta(days=300))
    team = ("clinician", "other_clinician", "third")
    for number, who in enumerate(team):
        loop = waiting(site, *team)
        opened = site.now - timedelta(seconds=30)
        record_access(loop.patient_id, what="recommendation", by=site.acting(who), now=opened)
        if number:
            record_access(loop.patient_id, what="patient page", by=site.acting(who), now=opened)
        decides(site, loop, who, DecisionKind.REJECT if number == 2 else DecisionKind.APPROVE)
    return team


# --- what was opened --------------------------------------------------------------------------------------------------


def test_what_a_clinician_opens_of_a_waiting_recommendation_is_kept_once_with_its_entry(site):
    loop = waiting(site)
    for what in ("recommendation", "patient page", "trend", "patient page", f"recommendation {loop.pk}"):
        record_access(loop.patient_id, what=what, by=site.acting("clinician"), now=site.now)
    kept = Look.objects.filter(loop=loop).values_list("what", flat=True)
    assert sorted(kept) == ["proposal", "record", "trend"]
    for what, who in (("target page", "clinician"), ("patient page", "pharmacist")):
        record_access(loop.patient_id, what=what, by=site.acting(who), now=site.now)
    assert Look.objects.count() == 3


def test_nothing_is_kept_once_it_is_decided(site):
    loop = site.loop_at(LoopState.REJECTED)
    record_access(loop.patient_id, what="patient page", by=site.acting("clinician"), now=site.now)
    assert not Look.objects.exists()


def test_nobodys_looking_is_written_for_them_nor_moved_nor_taken_away(site):
    loop = waiting(site)
    record_access(loop.patient_id, what="trend", by=site.acting("clinician"), now=site.now)
    look = Look.objects.get()
    other = site.people["other_clinician"]
    with pytest.raises(DatabaseError, match="no entry of this very act"), transaction.atomic():
        Look.objects.create(
            loop=loop, patient_id=loop.patient_id, person=other, what="record", at=site.now, entry=look.entry
        )
    for sql in ("UPDATE care_loops_look SET what = 'record'", "DELETE FROM care_loops_look"):
        with connection.cursor() as cursor, pytest.raises(DatabaseError), transaction.atomic():
            cursor.execute(sql)


def test_the_pages_themselves_leave_looks(site):
    loop = waiting(site)
    client = signed_in(site.people["clinician"])
    assert client.get(reverse("patient", args=[loop.patient_id])).status_code == 200
    assert client.get(reverse("recommendation", args=[loop.pk])).status_code == 200
    assert set(Look.objects.values_list("what", flat=True)) == {"record", "proposal"}


# --- the figures ------------------------------------------------------------------------------------------------------


def test_rates_times_and_evidence_of_a_team_that_is_large_enough(site):
    three(site)
    found = oversight(now=timezone.now())
    assert [(g.kind, g.figures is not None) for g in found.groups] == [("model", True), ("team", True)]
    team = next(g for g in found.groups if g.kind == "team")
    assert team.name == "Clinician Example, Other_Clinician Example, Third Example"
    shown = team.figures
    assert (shown.decided, shown.deciders, shown.overrides.k) == (3, 3, 1)
    assert shown.evidence.k == 2
    assert shown.read.median == 30
    assert shown.reasons == (("patient_preference", 1),)
    assert [point.n for point in shown.chart.points] == [3]


def test_a_decision_of_this_week_and_an_order_are_not_counted(site):
    loop = waiting(site)
    decides(site, loop, "clinician")
    assert oversight(now=timezone.now()).groups
    assert not oversight(now=site.now).groups, "the week has not ended"
    assert not oversight(now=site.now + timedelta(weeks=20)).groups


def test_one_or_two_people_are_shown_to_nobody_and_each_sees_their_own(site):
    for who, kind in (("clinician", DecisionKind.APPROVE), ("other_clinician", DecisionKind.REJECT)):
        decides(site, waiting(site, "clinician", "other_clinician"), who, kind)
    found = oversight(now=timezone.now())
    assert found.groups
    assert all(group.figures is None for group in found.groups)
    own = own_figures(site.acting("clinician"), now=timezone.now()).figures
    assert (own.decided, own.overrides.k) == (1, 0)
    assert own_figures(site.acting("other_clinician"), now=timezone.now()).figures.overrides.k == 1


def test_alerts_are_held_against_the_budget_of_a_team_large_enough(site):
    site.join("third", Role.CLINICIAN, now=site.now - timedelta(days=300))
    patient = site.patient(team=("clinician", "other_clinician", "third"))
    for minutes in (0, 5):
        site.measures(patient, 190, 125, at=site.now - timedelta(minutes=minutes))
    raised = Alert.objects.filter(severity__in=["critical", "urgent"], pages=True).count()
    loads = oversight(now=timezone.now()).loads
    assert raised
    assert [(load.people, load.alerts, load.clinician_days) for load in loads] == [(3, raised, 252)] * 2
    alone = site.patient(team=("clinician",))
    site.measures(alone, 190, 125)
    assert [load.team for load in oversight(now=timezone.now()).loads] == ["all clinicians"], (
        "a team beside it would tell of the one clinician"
    )


# --- who may see it ---------------------------------------------------------------------------------------------------


def test_pages_of_those_who_answer_for_it_and_of_oneself(site):
    three(site)
    site.join("officer", Role.COMPLIANCE_OFFICER, now=site.now)
    site.join("lead", Role.RESPONSIBLE_AI_LEAD, now=site.now)
    for who in ("officer", "lead", "clinician"):
        answer = signed_in(site.people[who]).get(reverse("decision-figures"))
        assert answer.status_code == 200
        assert b"3 decisions by 3 people" in answer.content
    own = signed_in(site.people["third"]).get(reverse("own-decisions"))
    assert b"1 decision" in own.content
    assert b"Rejected" in own.content
    for who in ("officer", "lead", "pharmacist"):
        assert signed_in(site.people[who]).get(reverse("own-decisions")).status_code == 403
    assert signed_in(site.people["pharmacist"]).get(reverse("decision-figures")).status_code == 403


def test_the_page_says_so_where_nothing_is_to_be_shown(site):
    client = signed_in(site.people["clinician"])
    assert b"No decision in these weeks" in client.get(reverse("decision-figures")).content
    assert b"You decided no proposal" in client.get(reverse("own-decisions")).content


def test_the_command_says_what_the_page_says(site):
    three(site)
    out = StringIO()
    call_command("oversight", "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert [group["decided"] for group in said["groups"]] == [3, 3]
    assert said["groups"][0]["overrides"]["k"] == 1
    assert Decision.objects.count() == 3
    words = StringIO()
    call_command("oversight", "--now", timezone.now().isoformat(), stdout=words)
    assert "3 decisions by 3 people" in words.getvalue()
    for wrong in ("soon", "2026-03-30T10:00:00"):
        with pytest.raises(CommandError):
            call_command("oversight", "--now", wrong)
