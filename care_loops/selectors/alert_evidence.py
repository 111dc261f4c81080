"""What an alert rests on, looked up for many alerts at once: the newest reading, laboratory result or symptom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from ..danger import contradicts_itself, is_cuffless, is_disturbed
from ..domain.readings import Flag
from ..domain.record import LabKind, SymptomKind
from ..models import Alert, BloodPressure, Lab, SensorSample, Symptom
from ..pathways.hypertension.tables_danger import danger_table
from .record import reading_of


class Doubt(StrEnum):
    """Why a pressure in a danger range bars and does not lock (CLINICAL 1.3; the danger rules)."""

    CONTRADICTS_ITSELF = "contradicts_itself"
    DISTURBED = "disturbed"
    CUFFLESS = "cuffless"


@dataclass(frozen=True, slots=True)
class AlertEvidence:
    """A reading, a wearable's heart rate, a laboratory result or a symptom; what it is not stays None.

    `received_at`: when a reading reached us whose own time cannot be believed.
    """

    at: datetime
    systolic: Decimal | None = None
    diastolic: Decimal | None = None
    pulse: Decimal | None = None
    lab: LabKind | None = None
    value: Decimal | None = None
    symptom: SymptomKind | None = None
    received_at: datetime | None = None
    doubt: Doubt | None = None


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
    known = {row.pk: _pressure(row) for row in BloodPressure.objects.filter(pk__in=ids)}
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


def _pressure(row: BloodPressure) -> AlertEvidence:
    reading = reading_of(row)
    doubts = (
        (contradicts_itself(reading, danger_table()), Doubt.CONTRADICTS_ITSELF),
        (is_disturbed(reading), Doubt.DISTURBED),
        (is_cuffless(reading), Doubt.CUFFLESS),
    )
    uncertain = Flag.CLOCK_UNCERTAIN in reading.flags or row.taken_at > row.received_at
    return AlertEvidence(
        at=row.taken_at,
        systolic=row.systolic,
        diastolic=row.diastolic,
        pulse=row.pulse,
        received_at=row.received_at if uncertain else None,
        doubt=next((doubt for holds, doubt in doubts if holds), None),
    )


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
