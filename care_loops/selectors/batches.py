"""What a stored reading says, as bytes: equal content is the same reading, and a batch's root is over these bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from decimal import Decimal
from typing import Any

from audit import canonical

from ..models import BloodPressure


def rows_of(object_type: str, object_id: str) -> Iterable[bytes] | None:
    """The bytes of a batch's readings in their order; None when the batch is of another kind."""
    if object_type != "observation_batch":
        return None
    return [canonical_row(row) for row in BloodPressure.objects.filter(batch=object_id).order_by("batch_index")]


def content(row: BloodPressure) -> dict[str, Any]:
    """What a reading says, without when and where it was kept: equal content is the same reading."""
    return {
        "taken_at": row.taken_at.astimezone(UTC).isoformat(),
        "systolic": _plain(row.systolic),
        "diastolic": _plain(row.diastolic),
        "pulse": _plain(row.pulse),
        "absent_reason": row.absent_reason,
        "method": row.method,
        "setting": row.setting,
        "position": row.position,
        "status": row.status,
    }


def canonical_row(row: BloodPressure) -> bytes:
    """The bytes of a stored reading under the root of its batch."""
    said = content(row) | {
        "id": str(row.pk),
        "patient": str(row.patient_id),
        "source": f"{row.source_system}|{row.source_id}",
        "device": row.device,
        "flags": sorted(row.flags),
        "quarantined": row.quarantined,
    }
    return canonical.dumps(said, profile=canonical.PAYLOAD)


def _plain(value: Decimal | None) -> str | None:
    """A stored decimal in one spelling, however many noughts the database kept."""
    return None if value is None else format(value.quantize(Decimal("0.0001")), "f")
