"""A drill of the switch is recorded: how many processes saw it, how long that took, whether they saw its end."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.services import append

from .acting import Acting


def record_drill(*, workers: int, seconds: str, held: bool, by: Acting, now: datetime) -> UUID:
    """Record a drill; `seconds` is the slowest process's, as text."""
    with transaction.atomic():
        event = Event(
            type="suspension.drilled",
            occurred_at=now,
            actor=by.actor,
            object=ObjectRef("drill", str(uuid4()), 1),
            purpose=Purpose.OPERATIONS,
            payload={"workers": workers, "seconds": seconds, "held": held},
        )
        return append(event).entry_id
