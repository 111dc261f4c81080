"""When patient and clinician next meet: by stability, unless a clinician sets a day (HTN-07).

Rules
 * The rule plans anew at each closing window, in its transaction. A clinician's day that is still to come stands.
 * Until visits are recorded themselves, a planned day that has passed counts as the last visit.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from uuid import UUID, uuid4

from django.db import transaction

from governance.domain import BadInput, Permission
from governance.services import Acting

from ..domain.evidence import Evidence, Outcome
from ..models import Patient, VisitPlan
from ..pathways.hypertension.tables_readings import visit_rule
from ..protocol import over_target
from ..selectors.access import patient_for, role_for
from ..visits import StabilityFacts, Window, next_visit_due
from .events import note


def plan_visit(patient_id: UUID, *, due_on: date, rule: str, reason: str, by: Acting, now: datetime) -> VisitPlan:
    """Keep the next visit. With a person acting it is an override, which the rule does not undo; a reason is needed."""
    with transaction.atomic():
        person = by.user
        if person is not None:
            patient = patient_for(by, patient_id, Permission.PLAN_VISIT, now=now)
            by = by.under(role_for(by, patient, Permission.PLAN_VISIT, now=now))
            if not reason.strip():
                raise BadInput("Say why on this day.", field="reason")
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
            overridden_by=person,
            reason=reason,
            planned_at=now,
            entry=entry.entry_id,
        )


def plan_by_rule(
    patient: Patient, evidence: Evidence, outcome: Outcome, *, today: date, by: Acting, now: datetime
) -> VisitPlan | None:
    """Plan the next visit from what a closing window shows. None when what is planned already stands."""
    planned = patient.visit_plans.order_by("-planned_at", "-pk").first()
    if planned is not None and planned.overridden_by_id is not None and planned.due_on >= today:
        return None
    due = next_visit_due(_stability(patient, evidence, outcome, today=today), visit_rule())
    due_on = max(due.due_on, today)  # what should have been is due now
    if planned is not None and planned.due_on == due_on:
        return None
    return plan_visit(patient.pk, due_on=due_on, rule=due.rule, reason="", by=by, now=now)


def _stability(patient: Patient, evidence: Evidence, outcome: Outcome, *, today: date) -> StabilityFacts:
    passed = patient.visit_plans.filter(due_on__lt=today).order_by("-due_on").first()
    last = passed.due_on if passed is not None else patient.enrolled_at.date()
    since = datetime.combine(last, time(), UTC)
    target = evidence.target
    return StabilityFacts(
        last_visit=last,
        windows=tuple(
            Window(w.average.systolic, in_target=target is not None and not over_target(w.average, target))
            for w in reversed(outcome.windows)
            if w.average is not None
        ),
        regimen_changes=sum(change.effective_at >= since for change in evidence.changes),
        danger_findings=patient.alerts.filter(raised_at__gte=since).count(),
        open_danger=any(alert.locks for alert in evidence.alerts),
    )
