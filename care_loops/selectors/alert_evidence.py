"""What an alert rests on, looked up for many alerts at once: the newest reading, laboratory result or symptom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from ..domain.record import LabKind, SymptomKind
from ..models import Alert, BloodPressure, Lab, SensorSample, Symptom


@dataclass(frozen=True, slots=True)
class AlertEvidence:
    """A reading, a wearable's heart rate, a laboratory result or a symptom; what it is not stays None."""

    at: datetime
    systolic: Decimal | None = None
    diastolic: Decimal | None = None
    pulse: Decimal | None = None
    lab: LabKind | None = None
    value: Decimal | None = None
    symptom: SymptomKind | None = None


def newest_evidence(alerts: Iterable[Alert]) -> dict[UUID, AlertEvidence]:
    """For each alert (events fetched before) the evidence of its newest event that has one. Four queries."""
    wanted: dict[UUID, UUID] = {}
    for alert in alerts:
        for event in sorted(alert.events.all(), key=lambda e: (e.at, e.pk), reverse=True):
            found = _as_uuid(event.evidence)
            if found is not None:
                wanted[alert.pk] = found
                break
    known = _lookup(set(wanted.values()))
    return {alert: known[evidence] for alert, evidence in wanted.items() if evidence in known}


def _lookup(ids: set[UUID]) -> dict[UUID, AlertEvidence]:
    known = {
        row.pk: AlertEvidence(at=row.taken_at, systolic=row.systolic, diastolic=row.diastolic, pulse=row.pulse)
        for row in BloodPressure.objects.filter(pk__in=ids)
    }
    known |= {row.pk: AlertEvidence(at=row.ends_at, pulse=row.value) for row in SensorSample.objects.filter(pk__in=ids)}
    known |= {
        row.pk: AlertEvidence(at=row.taken_at, lab=LabKind(row.kind), value=row.value)
        for row in Lab.objects.filter(pk__in=ids)
    }
    known |= {
        row.pk: AlertEvidence(at=row.felt_at, symptom=SymptomKind(row.kind))
        for row in Symptom.objects.filter(pk__in=ids)
    }
    return known


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
