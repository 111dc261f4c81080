"""When patient and clinician next meet: by stability, unless a clinician sets a day (HTN-07)."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID, uuid4

from django.db import transaction

from governance.domain import BadInput, Permission
from governance.services import Acting

from ..models import VisitPlan
from ..selectors.access import patient_for, role_for
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
