"""What was held back, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from ..models import ImportRefusal
from ..selectors.quarantine import HeldBack
from . import times, words


@dataclass(frozen=True, slots=True)
class HeldReading:
    """A reading as it was sent, and why it does not count. `patient_id` is set only where the name may be seen."""

    reading_id: UUID
    patient_id: UUID | None
    patient: str
    value: str
    why: str
    measured: str
    received: str
    source: str
    corrected: bool


@dataclass(frozen=True, slots=True)
class HeldShown:
    """The page."""

    readings: tuple[HeldReading, ...]
    reading_count: int
    refusals: tuple[ImportRefusal, ...]
    refusal_count: int


def quarantine_shown(found: HeldBack, *, now: datetime) -> HeldShown:
    """Readings with their raw numbers: what was sent is what is shown."""
    return HeldShown(
        readings=tuple(
            HeldReading(
                reading_id=row.pk,
                patient_id=row.patient_id if row.patient_id in found.named else None,
                patient=row.patient.shown_name if row.patient_id in found.named else "another team's patient",
                value=f"{_raw(row.systolic)}/{_raw(row.diastolic)}"
                + (f", pulse {_raw(row.pulse)}" if row.pulse is not None else ""),
                why=words.implausible(row.quarantined),
                measured=times.clock(row.taken_at, row.zone),
                received=times.ago(row.received_at, now=now),
                source=row.device or row.source_system,
                corrected=hasattr(row, "correction"),
            )
            for row in found.readings
        ),
        reading_count=found.reading_count,
        refusals=found.refusals,
        refusal_count=found.refusal_count,
    )


def _raw(value: Decimal | None) -> str:
    return "absent" if value is None else format(value.normalize(), "f")
