"""Findings from open to closed, each step by who may; a critical one stops its subject; incidents and their clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from care_loops.domain.adverse import AdverseKind
from care_loops.domain.loops import LoopState
from care_loops.selectors.affected import adverse_rates, affected
from care_loops.services import Answer, respond
from care_loops.services.adverse import Adverse, report_adverse_event
from governance.domain import BadInput, NotAllowed, NotFound, Role
from governance.findings import MOVES, FindingMoves, FindingState, Severity, finding_rules
from governance.incidents import INCIDENT_MOVES, IncidentClass, IncidentMoves, IncidentState, clocks, deadlines
from governance.models import Finding, FindingEvent, FindingOccurrence, Incident
from governance.selectors.findings import overdue_findings
from governance.selectors.suspensions import standing
from governance.services.findings import (
    Seen,
    check_or_close,
    hand_back,
    last_event,
    own,
    raise_finding,
    record_action,
    severity_of,
)
from governance.services.incidents import Happened, move_incident, report_incident
from governance.services.suspensions import end_suspension
from governance.suspension import Scope, Suspended
from tests.care_loops.standing import commits, hospital, refused, site, sql  # noqa: F401
from tests.factories import NOW, job

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def house(hospital):  # noqa: F811
    """With an auditor, a compliance officer and a lead."""
    hospital.join("auditor", Role.AUDITOR, now=NOW)
    hospital.join("officer", Role.COMPLIANCE_OFFICER, now=NOW)
    hospital.join("lead", Role.RESPONSIBLE_AI_LEAD, now=NOW)
    commits()
    return hospital


def seen(severity=Severity.MAJOR, **changed) -> Seen:
    said = {
        "cause": "wrong_change",
        "subject": "model",
        "name": "home_bp@1",
        "title": "Steps are too large",
        "evidence_kind": "entry",
        "evidence": "e-1",
    }
    return Seen(severity=severity, **(said | changed))


def found(house, severity=Severity.MAJOR, *, by="auditor", now=NOW, **changed) -> Finding:
    return raise_finding(seen(severity, **changed), by=house.acting(by, now=now), now=now)


def corrected(house, finding, *, owner="engineer", now=NOW) -> None:
    own(finding.pk, house.people[owner].pk, due_at=None, by=house.acting("officer", now=now), now=now)
    record_action(finding.pk, "smaller steps", by=house.acting(owner, now=now), now=now)


def closed(house, finding, state=FindingState.CLOSED, *, by="auditor", now=NOW):
    return check_or_close(finding.pk, state, "looked at the steps", by=house.acting(by, now=now), now=now)


def state_of(finding) -> str:
    return last_event(finding).state


def test_from_open_to_closed_by_three_people(house):
    finding = found(house)
    corrected(house, finding)
    closed(house, finding)
    commits()
    assert list(finding.events.order_by("seq").values_list("state", flat=True)) == [
        "open",
        "owned",
        "action_recorded",
        "closed",
    ]


def test_who_owns_it_does_not_close_it(house):
    finding = found(house)
    corrected(house, finding, owner="officer")
    with pytest.raises(NotAllowed):
        closed(house, finding, by="officer")
    closed(house, finding, by="lead")


def test_a_critical_one_is_checked_by_one_and_closed_by_another(house):
    finding = found(house, Severity.CRITICAL)
    corrected(house, finding)
    with pytest.raises(FindingMoves):
        closed(house, finding)
    closed(house, finding, FindingState.CHECKED, by="auditor")
    with pytest.raises(NotAllowed):
        closed(house, finding, by="auditor")
    closed(house, finding, by="officer")
    commits()


def test_an_open_critical_one_suspends_what_it_is_about_and_stands_until_it_is_closed(house):
    loop = house.loop_at(LoopState.WITH_PATIENT)
    commits()
    finding = found(house, Severity.CRITICAL, name=f"{loop.model_name}@{loop.model_version}")
    (row,) = standing()
    with pytest.raises(Suspended):
        respond(loop.pk, Answer.ACCEPT, reason_code="", by=house.own(loop.patient, now=LATER), now=LATER)
    with refused("stands while its finding is not closed"):
        end_suspension(row.suspension_id, reason="x", by=house.acting("lead"), now=NOW)
    corrected(house, finding)
    closed(house, finding, FindingState.CHECKED, by="auditor")
    closed(house, finding, by="officer")
    end_suspension(row.suspension_id, reason="corrected", by=house.acting("lead"), now=NOW)
    respond(loop.pk, Answer.ACCEPT, reason_code="", by=house.own(loop.patient, now=LATER), now=LATER)


@pytest.mark.parametrize("subject", [s for s in Scope if s is not Scope.EVERYTHING], ids=lambda s: s.value)
def test_on_each_thing_that_can_be_suspended(house, subject):
    found(house, Severity.CRITICAL, subject=subject.value, name="this")
    assert [(one.scope, one.name) for one in standing()] == [(subject, "this")]
    commits()


def test_not_on_what_cannot_and_not_while_it_is_milder(house):
    found(house, Severity.CRITICAL, subject="record", name="")
    found(house, Severity.MAJOR)
    assert not standing()


def test_the_same_cause_within_the_period_is_one_finding_and_gets_no_milder(house):
    first = found(house, Severity.MINOR)
    again = found(house, Severity.CRITICAL, evidence="e-2")
    third = found(house, Severity.MINOR, evidence="e-3")
    assert first.pk == again.pk == third.pk
    assert first.occurrences.count() == 3
    assert severity_of(first) is Severity.CRITICAL
    assert len(standing()) == 1
    assert found(house, Severity.MINOR, evidence="e-3").occurrences.count() == 3  # the same evidence is the same
    assert found(house, cause="another", evidence="e-3").pk != first.pk
    assert found(house, name="home_bp@2", evidence="e-3").pk != first.pk


def test_a_closed_one_that_recurs_is_reopened_and_after_the_period_it_is_another(house):
    finding = found(house, Severity.CRITICAL)
    corrected(house, finding)
    closed(house, finding, FindingState.CHECKED)
    closed(house, finding, by="officer")
    end_suspension(standing()[0].suspension_id, reason="x", by=house.acting("lead"), now=NOW)
    again = found(house, evidence="e-9", now=LATER)
    assert (again.pk, state_of(again)) == (finding.pk, "reopened")
    assert len(standing()) == 1  # it is as critical as it was
    corrected(house, again, now=LATER)
    closed(house, again, FindingState.CHECKED, now=LATER)
    closed(house, again, by="officer", now=LATER)
    after = LATER + finding_rules().cluster + timedelta(seconds=1)
    assert raise_finding(seen(evidence="e-10"), by=job(), now=after).pk != finding.pk


def test_handed_back_it_goes_to_its_owner_again(house):
    finding = found(house)
    corrected(house, finding)
    hand_back(finding.pk, "no proof", by=house.acting("auditor"), now=NOW)
    assert (state_of(finding), last_event(finding).owner) == ("owned", house.people["engineer"])


def test_what_is_late_is_counted(house):
    finding = found(house)
    due = last_event(finding).due_at
    assert due == NOW + timedelta(days=30)
    assert (overdue_findings(now=due), overdue_findings(now=due + timedelta(seconds=1))) == (0, 1)


def test_only_who_may(house):
    finding = found(house)
    with pytest.raises(NotAllowed):
        raise_finding(seen(), by=house.acting("admin"), now=NOW)
    with pytest.raises(NotAllowed):
        own(finding.pk, house.people["engineer"].pk, due_at=None, by=house.acting("auditor"), now=NOW)
    own(finding.pk, house.people["engineer"].pk, due_at=None, by=house.acting("officer"), now=NOW)
    with pytest.raises(NotAllowed):
        record_action(finding.pk, "x", by=house.acting("officer"), now=NOW)
    with pytest.raises(NotAllowed):
        closed(house, finding, by="clinician")


@pytest.mark.parametrize(
    "changed",
    [{"cause": ""}, {"title": " "}, {"evidence": ""}, {"subject": "moon"}, {"name": ""}, {"subject": "everything"}],
    ids=str,
)
def test_a_finding_says_what_it_is(house, changed):
    with pytest.raises(BadInput):
        found(house, **changed)


def test_a_step_that_is_not_on_the_way_is_refused(house):
    finding = found(house)
    with pytest.raises(FindingMoves):
        closed(house, finding)
    with pytest.raises(NotFound):
        closed(house, Finding())
    with pytest.raises(BadInput):
        own(finding.pk, house.people["engineer"].pk, due_at=NOW, by=house.acting("officer"), now=NOW)


# --- by SQL and in bulk -----------------------------------------------------------------------------------------------


def test_no_finding_is_closed_past_the_service(house):
    finding = found(house, Severity.CRITICAL)
    last = last_event(finding)
    for table in ("finding", "findingevent", "findingoccurrence", "incident", "incidentevent"):
        for statement in (f"UPDATE governance_{table} SET entry = entry", f"DELETE FROM governance_{table}"):
            with refused("permission denied"):
                sql(statement)
    forged = """INSERT INTO governance_findingevent (id, finding_id, seq, state, owner_id, due_at, action, said, at,
        by_id, signature_id, entry) SELECT gen_random_uuid(), finding_id, %s, 'closed', by_id, due_at, 'x', 'x', at,
        by_id, NULL, entry FROM governance_findingevent WHERE id = %s"""
    with refused("no entry of this very act|cannot go from|signed"):
        sql(forged, last.seq + 1, last.pk)
    with refused("permission denied"):
        FindingEvent.objects.filter(pk=last.pk).update(state="closed")
    with refused("permission denied"):
        FindingOccurrence.objects.filter(finding=finding).update(severity="minor")
    assert state_of(finding) == "open"


@pytest.mark.django_db
def test_the_database_holds_the_same_ways():
    for function, moves in (("governance_finding_moves", MOVES), ("governance_incident_moves", INCIDENT_MOVES)):
        ((body,),) = sql_of(function)
        source = body.partition("NOT IN (")[2].partition(") OR")[0]
        for before, afters in moves.items():
            for after in type(before):
                assert (f"('{before.value}', '{after.value}')" in source) == (after in afters), (before, after)


def sql_of(function):
    return sql("SELECT prosrc FROM pg_proc WHERE proname = %s", function)


# --- incidents --------------------------------------------------------------------------------------------------------


def happened(**changed) -> Happened:
    said = {
        "title": "Wrong doses were proposed",
        "subject": "pathway",
        "name": "hypertension",
        "happened_from": NOW - timedelta(days=30),
        "happened_until": NOW,
        "aware_at": NOW,
        "of": IncidentClass.SERIOUS,
    }
    return Happened(**(said | changed))


def reported(house, **changed) -> Incident:
    return report_incident(happened(**changed), by=house.acting("clinician"), now=NOW)


def test_whom_an_incident_touches_is_one_query(house, django_assert_num_queries):
    loop = house.loop_at(LoopState.DELIVERED)
    incident = reported(house)
    with django_assert_num_queries(1):
        (touched,) = affected(incident)
    assert (touched.patient_id, touched.loop_id, touched.decision) == (loop.patient_id, loop.pk, "approve")
    assert touched.model == f"{loop.model_name}@{loop.model_version}"
    for subject, name, n in (
        ("model", touched.model, 1),
        ("model", loop.model_name, 1),
        ("model", "other@1", 0),
        ("cohort", loop.cohort, 1),
        ("cohort", "age_80_and_over", 0),
        ("everything", "", 1),
    ):
        assert len(affected(reported(house, subject=subject, name=name))) == n
    assert not affected(reported(house, happened_until=NOW - timedelta(days=29)))


def test_an_incident_is_reported_before_it_is_closed(house):
    incident = reported(house)
    officer = house.acting("officer")

    def move(state, **more):
        said = {"of": IncidentClass.SERIOUS, "said": "looked at"} | more
        return move_incident(incident.pk, state, by=officer, now=NOW, **said)

    with pytest.raises(IncidentMoves):
        move(IncidentState.CLOSED)
    move(IncidentState.ASSESSED)
    with pytest.raises(IncidentMoves):
        move(IncidentState.CLOSED)
    with pytest.raises(BadInput):
        move(IncidentState.REPORTED)
    move(IncidentState.REPORTED, authority="BfArM", reference="2026-1")
    move(IncidentState.CLOSED)
    commits()
    with pytest.raises(NotAllowed):
        move_incident(
            incident.pk,
            IncidentState.CLOSED,
            of=IncidentClass.NO_REPORT,
            said="x",
            by=house.acting("clinician"),
            now=NOW,
        )


def test_the_clock_of_each_authority():
    friday = datetime(2026, 3, 27, 12, tzinfo=UTC)
    found = {d.clock.act: d.due_at - friday for d in deadlines(IncidentClass.SERIOUS, aware_at=friday)}
    assert found["Regulation (EU) 2017/745 (MDR) Art. 87(3)"] == timedelta(days=15)
    assert found["21 CFR 803.10(c)(1)"] == timedelta(days=30)
    assert found["21 CFR 803.10(a)(1)"] == timedelta(days=14)  # ten work days over two weekends
    threat = deadlines(IncidentClass.THREAT, aware_at=friday)
    assert threat[0].due_at == friday + timedelta(days=2)
    assert next(d for d in threat if d.clock.work_days).due_at == friday + timedelta(days=7)
    death = {d.clock.days for d in deadlines(IncidentClass.DEATH, aware_at=friday) if "MDR" in d.clock.act}
    assert death == {10}
    assert {clock.mark for clock in clocks()} <= {"checked", "from memory", "proposal"}


@pytest.mark.parametrize(
    "changed",
    [
        {"title": ""},
        {"subject": "moon"},
        {"aware_at": NOW + timedelta(days=1)},
        {"happened_until": NOW - timedelta(days=40)},
    ],
    ids=str,
)
def test_an_incident_says_what_and_when(house, changed):
    with pytest.raises(BadInput):
        reported(house, **changed)


def test_adverse_events_per_hundred_patient_months(house):
    loop = house.loop_at(LoopState.DELIVERED)
    event = Adverse(AdverseKind.SYNCOPE, IncidentClass.SERIOUS, NOW, NOW, "fainted on the stairs", loop_id=loop.pk)
    report_adverse_event(loop.patient_id, event, by=house.acting("clinician"), now=LATER)
    commits()
    (rate,) = adverse_rates(since=NOW - timedelta(days=365), until=LATER)
    assert (rate.events, rate.model) == (1, f"{loop.model_name}@{loop.model_version}")
    assert rate.by_kind == (("syncope", 1),)
    assert str(rate.patient_months) == "0.2"  # one window of seven days
    assert str(rate.per_100) == "500.0"
    with pytest.raises(NotFound):
        report_adverse_event(loop.patient_id, event, by=house.acting("other_clinician"), now=LATER)
    late = Adverse(AdverseKind.FALL, IncidentClass.SERIOUS, LATER, NOW, "x")
    with pytest.raises(BadInput):
        report_adverse_event(loop.patient_id, late, by=house.acting("clinician"), now=LATER)
