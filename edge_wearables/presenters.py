"""What people are shown of what came in at the entrance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from care_loops.models import Patient
from care_loops.presenters import times, words

from .domain import Outcome
from .models import RefusedReading

SHOWN = 2_000
OUTCOMES = {Outcome.REJECTED.value: "Refused", Outcome.QUARANTINED.value: "Held back"}


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """One line of the page. `patient_id` is set only where the name may be seen."""

    what: str
    device: str
    patient_id: UUID | None
    patient: str
    outcome: str
    why: str
    code: str
    detail: str
    received: str
    size: int
    body: str


def refused_lines(
    rows: Iterable[RefusedReading], *, named: Mapping[UUID, Patient], now: datetime
) -> tuple[RefusedLine, ...]:
    """What was refused or held back at the entrance, in words; `named` are the patients whose names may be seen."""
    return tuple(_line(row, named, now) for row in rows)


def _line(row: RefusedReading, named: Mapping[UUID, Patient], now: datetime) -> RefusedLine:
    patient = named.get(row.patient_id) if row.patient_id else None
    unnamed = "another team's patient" if row.patient_id else "not known"
    return RefusedLine(
        what="The whole message" if row.seq is None else f"Reading {row.seq}",
        device=row.device.model_name if row.device else f"not trusted; it said {row.claimed_device or 'nothing'}",
        patient_id=patient.pk if patient else None,
        patient=patient.shown_name if patient else unnamed,
        outcome=OUTCOMES[row.outcome],
        why=words.opened(row.code),
        code=row.code,
        detail=row.detail,
        received=times.ago(row.received_at, now=now),
        size=row.body_size,
        body=_text(row),
    )


def _text(row: RefusedReading) -> str:
    return bytes(row.body)[:SHOWN].decode("utf-8", "backslashreplace")


def refused_reading(row: RefusedReading) -> dict[str, object]:
    """One refused or held back reading or message: who sent it, why it was refused, the start of its body."""
    return {
        "id": str(row.pk),
        "received_at": row.received_at.isoformat(),
        "device": str(row.device_id) if row.device_id else None,
        "claimed_device": row.claimed_device,
        "patient": str(row.patient_id) if row.patient_id else None,
        "boot_id": str(row.boot_id) if row.boot_id else None,
        "seq": row.seq,
        "outcome": row.outcome,
        "code": row.code,
        "detail": row.detail,
        "size": row.body_size,
        "body_sha256": row.body_sha256,
        "body": _text(row),
    }
