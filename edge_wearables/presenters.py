"""What people are shown of what came in at the entrance."""

from __future__ import annotations

from .models import RefusedReading

SHOWN = 2_000


def refused_reading(row: RefusedReading) -> dict[str, object]:
    """One refused or held back reading or message: who sent it, why it was refused, the start of its body."""
    body = bytes(row.body)
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
        "body": body[:SHOWN].decode("utf-8", "backslashreplace"),
    }
