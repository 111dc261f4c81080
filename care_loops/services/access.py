"""Who looked: reading a patient's record leaves an entry, with the person and the client that acted for them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from governance.services import Acting

from .events import note


def record_access(patient_id: UUID, *, what: str, by: Acting, now: datetime) -> None:
    """Record that this person read `what` of this patient's record."""
    with transaction.atomic():
        note(
            "access.read",
            of=("patient", patient_id, None),
            by=by,
            now=now,
            patient_id=patient_id,
            payload={"what": what},
        )


def record_listing(what: str, *, by: Acting, now: datetime) -> None:
    """Record that this person read a list on which several patients stand, such as the worklist."""
    with transaction.atomic():
        note("access.read", of=("list", what, None), by=by, now=now, payload={"what": what})
