"""Word left for later: this patient's open recommendation is to be looked at again."""

from __future__ import annotations

from uuid import UUID

from audit.services import enqueue

TOPIC = "loop.reevaluate"


def look_again(patient_id: UUID) -> None:
    """Leave the word in the caller's transaction; the relay acts on it after commit."""
    enqueue(TOPIC, {"patient": str(patient_id)})
