"""Word left for later: this patient's open recommendation is to be looked at again."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from audit.selectors import undelivered
from audit.services import enqueue

TOPIC = "loop.reevaluate"


def look_again(patient_id: UUID) -> None:
    """Leave the word in the caller's transaction; the relay acts on it after commit."""
    enqueue(TOPIC, {"patient": str(patient_id)})


def waits_to_be_looked_at(patient_ids: Iterable[UUID]) -> bool:
    """Whether word was left for one of these records that the relay has not acted on."""
    return undelivered(TOPIC, [{"patient": str(patient_id)} for patient_id in patient_ids])
