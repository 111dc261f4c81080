"""Which visit is planned, which was the last one held, which are overdue, and of what a patient is reminded.

Rules
 * The plan that stands is the newest one, while nobody has said what became of it.
 * Overdue is a plan that stands and whose day has passed where the patient lives (HTN-07).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from ..domain.loops import Origin
from ..domain.refusals import Withheld
from ..models import Loop, Patient, Reminder, Visit, VisitPlan
from ..visits import VisitRule
from .record import record_ids


def standing_plan(patient: Patient, *, now: datetime) -> VisitPlan | None:
    """The visit that is planned, or overdue; None when there is none or it is dealt with."""
    newest = (
        VisitPlan.objects.filter(patient_id__in=record_ids(patient), planned_at__lte=now)
        .select_related("visit")
        .order_by("-planned_at", "-pk")
        .first()
    )
    return newest if newest is not None and getattr(newest, "visit", None) is None else None


def last_held(patient: Patient, *, now: datetime) -> Visit | None:
    """The last visit that was held, as known at `now`."""
    held = Visit.objects.filter(patient_id__in=record_ids(patient), outcome=Visit.HELD, recorded_at__lte=now)
    return held.order_by("-on_day").first()


def standing_plans(ids: Iterable[UUID] | QuerySet[Any, Any], *, due_from: date, due_until: date) -> list[VisitPlan]:
    """The plans that stand of these records, with the patient, of days in [due_from, due_until]. One query."""
    newest = VisitPlan.objects.filter(patient__in=ids).order_by("patient", "-planned_at", "-pk").distinct("patient")
    standing = VisitPlan.objects.filter(pk__in=newest.values("pk"), visit__isnull=True)
    return list(standing.filter(due_on__range=(due_from, due_until)).select_related("patient"))


def overdue_plans(ids: Iterable[UUID], *, now: datetime) -> list[VisitPlan]:
    """The plans of these records whose day has passed and of which nobody has said what became."""
    plans = standing_plans(ids, due_from=date.min, due_until=now.date() + timedelta(days=1))
    return [plan for plan in plans if is_overdue(plan, now=now)]


def is_overdue(plan: VisitPlan, *, now: datetime) -> bool:
    """Whether its day has passed where the patient lives."""
    return plan.due_on < _today(plan.patient, now)


@dataclass(frozen=True, slots=True)
class DueReminder:
    """Something to remind a patient of; `about` names which visit or which window, so that it is said once."""

    patient_id: UUID
    kind: str
    about: str
    due_on: date


def reminders_due(rule: VisitRule, *, now: datetime) -> list[DueReminder]:
    """What patients are to be reminded of now, whether or not they were: visits near, measuring days before them, and
    measuring anew where the window that closed in the last week had too few readings."""
    living = Patient.objects.filter(merged_into__isnull=True, died_at__isnull=True)
    found: list[DueReminder] = []
    soon = now.date() + timedelta(days=1 + max(rule.remind_days, rule.measure_days))
    for plan in standing_plans(living.values("pk"), due_from=now.date() - timedelta(days=1), due_until=soon):
        days_left = (plan.due_on - _today(plan.patient, now)).days
        if 0 <= days_left <= rule.remind_days:
            found.append(DueReminder(plan.patient_id, Reminder.VISIT, f"plan:{plan.pk}", plan.due_on))
        if 0 < days_left <= rule.measure_days:
            first = plan.due_on - timedelta(days=rule.measure_days)
            found.append(DueReminder(plan.patient_id, Reminder.MEASURE, f"plan:{plan.pk}", first))
    return found + _too_few_readings(now)


def _too_few_readings(now: datetime) -> list[DueReminder]:
    closed = Loop.objects.filter(
        origin=Origin.PROPOSAL.value,
        withheld_reason=Withheld.NOT_ENOUGH_READINGS.value,
        opened_at__gt=now - timedelta(days=7),
        opened_at__lte=now,
        patient__merged_into__isnull=True,
        patient__died_at__isnull=True,
    ).select_related("patient")
    return [
        DueReminder(loop.patient_id, Reminder.MEASURE, f"loop:{loop.pk}", _today(loop.patient, loop.opened_at))
        for loop in closed.defer("evidence", "outcome")
    ]


def not_yet_reminded(due: Iterable[DueReminder]) -> list[DueReminder]:
    """Those of which the patient was not reminded before."""
    wanted = list(due)
    sent = set(
        Reminder.objects.filter(patient__in={one.patient_id for one in wanted}).values_list(
            "patient_id", "kind", "about"
        )
    )
    return [one for one in wanted if (one.patient_id, one.kind, one.about) not in sent]


def reminders_shown(patient: Patient, *, now: datetime) -> list[Reminder]:
    """Reminders that still say something: of a visit until it is dealt with, of measuring for a week."""
    today = _today(patient, now)
    plan = standing_plan(patient, now=now)
    rows = Reminder.objects.filter(patient_id__in=record_ids(patient), sent_at__lte=now).order_by("-sent_at", "kind")
    return [
        row
        for row in rows.filter(sent_at__gt=now - timedelta(days=14))
        if (plan is not None and row.about == f"plan:{plan.pk}" and plan.due_on >= today)
        or (row.about.startswith("loop:") and row.sent_at > now - timedelta(days=7))
    ]


def _today(patient: Patient, now: datetime) -> date:
    return now.astimezone(ZoneInfo(patient.zone)).date()
