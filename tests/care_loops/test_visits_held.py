"""Visits held, not held, cancelled; overdue ones wait on the worklist; reminders go out once (HTN-07, CLI-13)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from audit.models import Outbox
from care_loops.domain.loops import LoopState
from care_loops.models import Reminder, Visit, VisitPlan
from care_loops.selectors.visits import last_held, overdue_plans, reminders_shown, standing_plan
from care_loops.selectors.worklist import ItemKind, worklist
from care_loops.services import NewVisit, close_window, plan_visit, record_visit, remind, turn
from governance.domain import BadInput, Refusal
from tests.care_loops.standing import commits, hospital, pass_on, refused, site, sql  # noqa: F401
from tests.factories import NOW, job

TODAY = date(2026, 3, 30)


def planned(hospital, patient, *, due: date, now=NOW) -> VisitPlan:  # noqa: F811
    return plan_visit(
        patient.pk, due_on=due, rule="set_by_clinician", reason="test", by=hospital.acting("clinician"), now=now
    )


def held(on: date, **more: str) -> NewVisit:
    return NewVisit(outcome=Visit.HELD, on_day=on, **more)


def test_the_last_visit_is_the_last_one_held_and_the_rule_counts_from_it(hospital):  # noqa: F811
    patient, by = hospital.patient(), hospital.acting("clinician")
    plan = planned(hospital, patient, due=TODAY, now=NOW - timedelta(days=20))
    visit = record_visit(patient.pk, held(TODAY, diet="less salt"), by=by, now=NOW)
    assert (visit.plan_id, visit.diet, last_held(patient, now=NOW)) == (plan.pk, "less salt", visit)
    following = standing_plan(patient, now=NOW)
    assert (following.due_on, following.rule) == (TODAY + timedelta(days=30), "first")
    assert following.overridden_by_id is None
    commits()


def test_a_day_that_passed_without_a_word_is_not_a_visit(hospital):  # noqa: F811
    """It is overdue, waits on the worklist, and no closing window moves it."""
    patient = hospital.patient()
    plan = planned(hospital, patient, due=TODAY - timedelta(days=3), now=NOW - timedelta(days=20))
    hospital.weeks(patient, *[(128, 80)] * 3)
    close_window(patient.pk, by=job(), now=NOW)
    assert last_held(patient, now=NOW) is None
    assert standing_plan(patient, now=NOW) == plan
    items = [i for i in worklist(hospital.acting("clinician"), now=NOW).items if i.kind is ItemKind.VISIT]
    assert [item.visit for item in items] == [plan]
    record_visit(patient.pk, NewVisit(outcome=Visit.NOT_HELD), by=hospital.acting("clinician"), now=NOW)
    assert overdue_plans([patient.pk], now=NOW) == []
    assert standing_plan(patient, now=NOW).due_on >= TODAY


def test_a_visit_is_overdue_from_the_day_after_where_the_patient_lives(hospital):  # noqa: F811
    patient = hospital.patient()
    planned(hospital, patient, due=TODAY)
    late = NOW.replace(hour=21, minute=59)  # 23:59 in Berlin
    assert overdue_plans([patient.pk], now=late) == []
    assert len(overdue_plans([patient.pk], now=late + timedelta(minutes=1))) == 1


def test_a_visit_cancelled_beforehand_is_planned_anew(hospital):  # noqa: F811
    patient, by = hospital.patient(), hospital.acting("clinician")
    plan = planned(hospital, patient, due=TODAY + timedelta(days=9))
    cancelled = record_visit(patient.pk, NewVisit(outcome=Visit.CANCELLED, note="travels"), by=by, now=NOW)
    assert (cancelled.on_day, cancelled.plan_id) == (plan.due_on, plan.pk)
    assert standing_plan(patient, now=NOW).pk != plan.pk


def test_a_visit_told_late_leaves_what_was_planned_since(hospital):  # noqa: F811
    patient, by = hospital.patient(), hospital.acting("clinician")
    plan = planned(hospital, patient, due=TODAY + timedelta(days=40))
    visit = record_visit(patient.pk, held(TODAY - timedelta(days=5)), by=by, now=NOW)
    assert visit.plan_id is None
    assert standing_plan(patient, now=NOW) == plan


@pytest.mark.parametrize(
    "said",
    [
        held(TODAY + timedelta(days=1)),
        NewVisit(outcome=Visit.HELD),
        held(date(2020, 1, 1)),
        NewVisit(outcome="perhaps"),
        NewVisit(outcome=Visit.NOT_HELD),
    ],
)
def test_what_cannot_have_been_is_refused_by_name(hospital, said):  # noqa: F811
    patient = hospital.patient()
    planned(hospital, patient, due=TODAY + timedelta(days=3))
    with pytest.raises(BadInput):
        record_visit(patient.pk, said, by=hospital.acting("clinician"), now=NOW)
    assert not Visit.objects.exists()


def test_each_visit_is_recorded_once_and_by_a_clinician_of_the_team(hospital):  # noqa: F811
    patient, by = hospital.patient(), hospital.acting("clinician")
    record_visit(patient.pk, held(TODAY), by=by, now=NOW)
    for who, said in ((by, held(TODAY)), (hospital.acting("pharmacist"), held(TODAY - timedelta(days=1)))):
        with pytest.raises(Refusal):
            record_visit(patient.pk, said, by=who, now=NOW)
    assert Visit.objects.count() == 1


def test_stable_is_seen_later_and_volatile_sooner_counted_from_the_visit_held(hospital):  # noqa: F811
    by = hospital.acting("clinician")
    stable, volatile = hospital.patient(), hospital.patient()
    hospital.weeks(stable, *[(126, 78)] * 3)
    hospital.weeks(volatile, (126, 78), (126, 78), (148, 92))
    for patient in (stable, volatile):
        record_visit(patient.pk, held(TODAY), by=by, now=NOW)
    far, near = (standing_plan(patient, now=NOW) for patient in (stable, volatile))
    assert (far.rule, near.rule) == ("stable", "volatile")
    assert far.due_on > TODAY + timedelta(days=30) > near.due_on


# Reminders


def test_a_patient_is_reminded_of_a_visit_once_and_again_only_for_another_day(hospital):  # noqa: F811
    patient = hospital.patient()
    planned(hospital, patient, due=TODAY + timedelta(days=2))
    assert remind(by=job(), now=NOW - timedelta(days=6)) == 0  # not planned yet as of then: the days are further away
    sent = [remind(by=job(), now=NOW), remind(by=job(), now=NOW), turn(by=job(), now=NOW).reminded]
    assert sent[:2] == [2, 0]  # of the visit, and of measuring before it
    assert set(Reminder.objects.values_list("kind", flat=True)) == {"visit", "measure"}
    assert Outbox.objects.filter(topic="patient.remind").count() == Reminder.objects.count()
    pass_on(NOW)
    planned(hospital, patient, due=TODAY + timedelta(days=1))
    assert remind(by=job(), now=NOW) == 2
    shown = {(r.kind, r.due_on) for r in reminders_shown(patient, now=NOW)}
    assert ("visit", TODAY + timedelta(days=1)) in shown
    assert ("visit", TODAY + timedelta(days=2)) not in shown
    commits()


def test_too_few_readings_ask_to_measure_and_a_held_visit_ends_its_reminders(hospital):  # noqa: F811
    patient = hospital.patient()
    hospital.measures(patient, 148, 92, at=NOW - timedelta(days=1))
    loop = close_window(patient.pk, by=job(), now=NOW)
    assert (loop.state, loop.withheld_reason) == (LoopState.WITHHELD.value, "not_enough_readings")
    remind(by=job(), now=NOW)
    asked = [r.about for r in reminders_shown(patient, now=NOW) if r.kind == Reminder.MEASURE]
    assert asked == [f"loop:{loop.pk}"]
    record_visit(patient.pk, held(TODAY), by=hospital.acting("clinician"), now=NOW)
    assert {r.kind for r in reminders_shown(patient, now=NOW)} == {Reminder.MEASURE}
    assert reminders_shown(patient, now=NOW + timedelta(days=7)) == []


def test_a_visit_and_a_reminder_are_not_put_in_or_changed_by_raw_sql(hospital):  # noqa: F811
    patient, by = hospital.patient(), hospital.acting("clinician")
    record_visit(patient.pk, held(TODAY), by=by, now=NOW)
    commits()
    for table in ("care_loops_visit", "care_loops_reminder"):
        for act in (f"UPDATE {table} SET patient_id = patient_id", f"DELETE FROM {table}"):
            with refused("permission denied"):
                sql(act)
    with refused("entry that is not its own"):
        sql(
            "INSERT INTO care_loops_visit SELECT gen_random_uuid(), outcome, on_day - 1, diet, activity, sleep, stress,"
            " note, recorded_at, entry, patient_id, NULL, recorded_by_id FROM care_loops_visit"
        )
