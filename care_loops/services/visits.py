"""When patient and clinician next meet, and what became of it: by stability, unless a clinician sets a day (HTN-07).

Rules
 * The rule plans anew at each closing window and when a visit is recorded, in that transaction. A clinician's day that
   is still to come stands.
 * The last visit is the last one recorded as held; until there is one, the day of enrolment. A planned day that passed
   without a word is overdue: it stands on the worklist until somebody says what became of it, and no rule moves it.
 * What became of a planned visit is said once: held, not held, or cancelled. It is never edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.db import transaction

from governance.domain import BadInput, Permission
from governance.models import User
from governance.services import Acting

from ..domain.evidence import Evidence
from ..domain.readings import WindowResult
from ..models import Patient, Visit, VisitPlan
from ..pathways.hypertension.rules import rules, tables
from ..pathways.hypertension.tables_readings import visit_rule
from ..policies import NotNow
from ..protocol import over_target
from ..recommend import windows_of
from ..selectors.access import patient_for, role_for
from ..selectors.evidence import assemble
from ..selectors.visits import last_held, standing_plan
from ..visits import StabilityFacts, Window, next_visit_due
from .events import note
from .whose import locked_record

PATHWAY = "hypertension"
_KINDS = {Visit.HELD: "visit.recorded", Visit.NOT_HELD: "visit.closed", Visit.CANCELLED: "visit.cancelled"}


@dataclass(frozen=True, slots=True)
class NewVisit:
    """What became of a visit. `on_day` is the day it was held; a planned visit that was not needs none.

    `diet`, `activity`, `sleep`, `stress`: what was talked of; empty means that it was not.
    """

    outcome: str
    on_day: date | None = None
    diet: str = ""
    activity: str = ""
    sleep: str = ""
    stress: str = ""
    note: str = ""


def plan_visit(patient_id: UUID, *, due_on: date, rule: str, reason: str, by: Acting, now: datetime) -> VisitPlan:
    """Keep the next visit. With a person acting it is an override, which the rule does not undo; a reason is needed."""
    with transaction.atomic():
        person = by.user
        if person is not None:
            patient = patient_for(by, patient_id, Permission.PLAN_VISIT, now=now)
            by = by.under(role_for(by, patient, Permission.PLAN_VISIT, now=now))
            if not reason.strip():
                raise BadInput("Say why on this day.", field="reason")
        return _keep(patient_id, due_on=due_on, rule=rule, reason=reason, set_by=person, by=by, now=now)


def _keep(
    patient_id: UUID, *, due_on: date, rule: str, reason: str, set_by: User | None, by: Acting, now: datetime
) -> VisitPlan:
    entry = note(
        "visit.planned",
        of=("visit", uuid4(), 1),
        by=by,
        now=now,
        patient_id=patient_id,
        payload={"due_on": due_on.isoformat(), "rule": rule, "reason": reason},
    )
    return VisitPlan.objects.create(
        patient_id=patient_id,
        due_on=due_on,
        rule=rule,
        overridden_by=set_by,
        reason=reason,
        planned_at=now,
        entry=entry.entry_id,
    )


def record_visit(patient_id: UUID, new: NewVisit, *, by: Acting, now: datetime) -> Visit:
    """Say what became of a visit, and plan the next one by the rule."""
    if new.outcome not in Visit.OUTCOMES:
        raise BadInput("Say whether it was held.", field="outcome", known=list(Visit.OUTCOMES))
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.PLAN_VISIT, now=now)
        by = by.under(role_for(by, patient, Permission.PLAN_VISIT, now=now))
        patient = locked_record(patient.pk)
        today = now.astimezone(ZoneInfo(patient.zone)).date()
        plan = standing_plan(patient, now=now)
        day = _day_held(patient, new, today=today) if new.outcome == Visit.HELD else _day_missed(new, plan, today=today)
        if plan is not None and new.outcome == Visit.HELD and plan.planned_at.date() > day:
            plan = None  # planned after this visit, so it is another one
        visit_id = uuid4()
        said = {
            "outcome": new.outcome,
            "on_day": day.isoformat(),
            "planned_for": plan.due_on.isoformat() if plan else None,
            "talked_of": {"diet": new.diet, "activity": new.activity, "sleep": new.sleep, "stress": new.stress},
            "note": new.note,
        }
        entry = note(
            _KINDS[new.outcome], of=("visit", visit_id, 1), by=by, now=now, patient_id=patient.pk, payload=said
        )
        visit = Visit.objects.create(
            id=visit_id,
            patient=patient,
            plan=plan,
            outcome=new.outcome,
            on_day=day,
            diet=new.diet,
            activity=new.activity,
            sleep=new.sleep,
            stress=new.stress,
            note=new.note,
            recorded_by=by.person(),
            recorded_at=now,
            entry=entry.entry_id,
        )
        evidence = assemble(patient, pathway=PATHWAY, now=now, tables=tables())
        plan_by_rule(patient, evidence, windows_of(evidence, rules()), today=today, by=by, now=now)
        return visit


def _day_held(patient: Patient, new: NewVisit, *, today: date) -> date:
    if new.on_day is None or new.on_day > today:
        raise BadInput("Say on which day it was held: today or before.", field="on_day")
    if new.on_day < patient.enrolled_at.astimezone(ZoneInfo(patient.zone)).date():
        raise BadInput("That is before the patient was enrolled.", field="on_day")
    if patient.visits.filter(outcome=Visit.HELD, on_day=new.on_day).exists():
        raise NotNow("A visit on that day is recorded already.", state="recorded")
    return new.on_day


def _day_missed(new: NewVisit, plan: VisitPlan | None, *, today: date) -> date:
    """The day for which the visit was planned that was not held, or will not be."""
    if plan is None:
        raise NotNow("No visit is planned: what was planned last is recorded already.", state="recorded")
    if new.outcome == Visit.NOT_HELD and plan.due_on > today:
        raise BadInput("It is still to come: cancel it, or wait.", field="outcome")
    return plan.due_on


def plan_by_rule(
    patient: Patient, evidence: Evidence, windows: Sequence[WindowResult], *, today: date, by: Acting, now: datetime
) -> VisitPlan | None:
    """Plan the next visit from what the windows (newest first) show. None when what is planned already stands."""
    planned = standing_plan(patient, now=now)
    if planned is not None and (planned.due_on < today or planned.overridden_by_id is not None):
        return None
    due = next_visit_due(_stability(patient, evidence, windows, now=now), visit_rule())
    due_on = max(due.due_on, today)  # what should have been is due now
    if planned is not None and planned.due_on == due_on:
        return None
    return _keep(patient.pk, due_on=due_on, rule=due.rule, reason="", set_by=None, by=by, now=now)


def _stability(
    patient: Patient, evidence: Evidence, windows: Sequence[WindowResult], *, now: datetime
) -> StabilityFacts:
    held = last_held(patient, now=now)
    last = held.on_day if held is not None else patient.enrolled_at.date()
    since = datetime.combine(last, time(), UTC)
    target = evidence.target
    return StabilityFacts(
        last_visit=last,
        windows=tuple(
            Window(w.average.systolic, in_target=target is not None and not over_target(w.average, target))
            for w in reversed(windows)
            if w.average is not None
        ),
        regimen_changes=sum(change.effective_at >= since for change in evidence.changes),
        danger_findings=patient.alerts.filter(raised_at__gte=since).count(),
        open_danger=any(alert.locks for alert in evidence.alerts),
    )
