"""What waits for this person, over all patients whose care team they are in, in a constant number of queries.

Rules
 * Only patients of the care team (N10); what is open, not what has ended.
 * Order is risk, then time: unacknowledged critical and urgent alerts, alerts still locking, what is due today or
   overdue, open recommendations, reported symptoms, overdue visits, alerts to look at, and last where nothing was
   proposed.
 * A patient for whom nothing was proposed is listed with the newest reason, unless something newer is open (N2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum, StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Max, QuerySet

from governance.services import Acting

from ..domain.alerts import AlertSeverity
from ..domain.loops import LoopState
from ..domain.readings import Status
from ..models import Alert, BloodPressure, Loop, Patient, Symptom, VisitPlan
from .access import patients_of
from .alert_evidence import AlertEvidence, newest_evidence
from .first import veil
from .visits import overdue_plans


class ItemKind(StrEnum):
    """What waits."""

    ALERT = "alert"
    RECOMMENDATION = "recommendation"
    SYMPTOM = "symptom"
    VISIT = "visit"
    WITHHELD = "withheld"


class Risk(IntEnum):
    """How soon a person should look; the lower, the sooner."""

    CRITICAL = 0
    URGENT = 1
    LOCKED = 2
    TODAY = 3
    DECIDE = 4
    SYMPTOM = 5
    VISIT = 6
    LOOK = 7
    NOTHING_PROPOSED = 8


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One line of the worklist; exactly one of `alert`, `loop`, `symptom`, `visit` is set."""

    kind: ItemKind
    risk: Risk
    patient: Patient
    at: datetime
    due_at: datetime | None
    alert: Alert | None = None
    loop: Loop | None = None
    symptom: Symptom | None = None
    visit: VisitPlan | None = None
    evidence: AlertEvidence | None = None


@dataclass(frozen=True, slots=True)
class PatientLine:
    """A patient of the care team, with when the last reading was measured."""

    patient: Patient
    last_reading_at: datetime | None


@dataclass(frozen=True, slots=True)
class Worklist:
    """Everything that waits, in order, and all patients of the care team by name."""

    items: tuple[WorkItem, ...]
    patients: tuple[PatientLine, ...]


def worklist(by: Acting, *, now: datetime) -> Worklist:
    """What waits for `by` at `now`."""
    mine = patients_of(by, now=now)
    patients = {patient.pk: patient for patient in mine}
    ids = list(patients)
    waiting = list(_recommendations(ids, patients, now=now))
    veil(by, [item.loop for item in waiting if item.loop is not None])
    items = [
        *_alerts(ids, patients),
        *waiting,
        *_symptoms(ids, patients),
        *_visits(ids, patients, now=now),
        *_withheld(ids, patients),
    ]
    return Worklist(
        items=tuple(sorted(items, key=lambda item: (item.risk, item.due_at or item.at, str(item.patient.pk)))),
        patients=_patients(ids, patients),
    )


def open_alerts_of(by: Acting, *, now: datetime) -> tuple[WorkItem, ...]:
    """Every open alert of the care team's patients, the most urgent first."""
    patients = {patient.pk: patient for patient in patients_of(by, now=now)}
    return tuple(sorted(_alerts(list(patients), patients), key=lambda item: (item.risk, item.at)))


def alert_risk(alert: Alert) -> Risk:
    """Where an open alert stands among what waits."""
    severity = AlertSeverity(alert.severity)
    if severity.rank >= AlertSeverity.URGENT.rank:
        if alert.acknowledged_at is not None:
            return Risk.LOCKED
        return Risk.CRITICAL if severity is AlertSeverity.CRITICAL else Risk.URGENT
    if alert.locks:
        return Risk.LOCKED
    return Risk.TODAY if alert.same_day else Risk.LOOK


def _alerts(ids: list[UUID], patients: dict[UUID, Patient]) -> Iterable[WorkItem]:
    rows = list(
        Alert.objects.filter(patient__in=ids, disposed_at__isnull=True)
        .select_related("acknowledged_by")
        .prefetch_related("events")
    )
    evidence = newest_evidence(rows)
    for alert in rows:
        yield WorkItem(
            kind=ItemKind.ALERT,
            risk=alert_risk(alert),
            patient=patients[alert.patient_id],
            at=alert.raised_at,
            due_at=alert.escalates_at,
            alert=alert,
            evidence=evidence.get(alert.pk),
        )


def _recommendations(ids: list[UUID], patients: dict[UUID, Patient], *, now: datetime) -> Iterable[WorkItem]:
    waiting: QuerySet[Loop] = Loop.objects.filter(patient__in=ids, state=LoopState.WITH_CLINICIAN.value)
    for loop in waiting.defer("evidence"):
        yield WorkItem(
            kind=ItemKind.RECOMMENDATION,
            risk=Risk.TODAY if loop.due_at <= now else Risk.DECIDE,
            patient=patients[loop.patient_id],
            at=loop.opened_at,
            due_at=loop.due_at,
            loop=loop,
        )


def _symptoms(ids: list[UUID], patients: dict[UUID, Patient]) -> Iterable[WorkItem]:
    for symptom in Symptom.objects.filter(patient__in=ids, review__isnull=True):
        yield WorkItem(
            kind=ItemKind.SYMPTOM,
            risk=Risk.SYMPTOM,
            patient=patients[symptom.patient_id],
            at=symptom.felt_at,
            due_at=None,
            symptom=symptom,
        )


def _visits(ids: list[UUID], patients: dict[UUID, Patient], *, now: datetime) -> Iterable[WorkItem]:
    for plan in overdue_plans(ids, now=now):
        patient = patients[plan.patient_id]
        yield WorkItem(
            kind=ItemKind.VISIT,
            risk=Risk.VISIT,
            patient=patient,
            at=datetime.combine(plan.due_on, time(), ZoneInfo(patient.zone)),
            due_at=None,
            visit=plan,
        )


def _withheld(ids: list[UUID], patients: dict[UUID, Patient]) -> Iterable[WorkItem]:
    newest = (
        Loop.objects.filter(patient__in=ids).order_by("patient", "-opened_at").distinct("patient").defer("evidence")
    )
    for loop in newest:
        if loop.state == LoopState.WITHHELD.value:
            yield WorkItem(
                kind=ItemKind.WITHHELD,
                risk=Risk.NOTHING_PROPOSED,
                patient=patients[loop.patient_id],
                at=loop.opened_at,
                due_at=None,
                loop=loop,
            )


def _patients(ids: list[UUID], patients: dict[UUID, Patient]) -> tuple[PatientLine, ...]:
    last = dict(
        BloodPressure.objects.filter(patient__in=ids, correction__isnull=True)
        .exclude(status=Status.ENTERED_IN_ERROR.value)
        .values("patient")
        .annotate(at=Max("taken_at"))
        .values_list("patient", "at")
    )
    ordered = sorted(patients.values(), key=lambda p: (p.family_name.casefold(), p.given_name.casefold(), str(p.pk)))
    return tuple(PatientLine(patient, last.get(patient.pk)) for patient in ordered)
