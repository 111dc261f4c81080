"""Who looked: reading a patient's record leaves an entry, with the person and the client that acted for them.

What is read under break-glass says so, and stands beside its opening for whoever reviews it (N10).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.domain import Purpose
from governance.services import Acting

from ..models import BreakGlassRead
from ..selectors.glass import opening_of
from .events import note


def record_access(patient_id: UUID, *, what: str, by: Acting, now: datetime) -> None:
    """Record that this person read `what` of this patient's record."""
    with transaction.atomic():
        opening = opening_of(by, [patient_id], now=now)
        entry = note(
            "access.read",
            of=("patient", patient_id, None),
            by=by,
            now=now,
            patient_id=patient_id,
            payload={"what": what},
            purpose=Purpose.BREAK_GLASS if opening is not None else Purpose.TREATMENT,
            break_glass=opening.pk if opening is not None else None,
        )
        if opening is not None:
            BreakGlassRead.objects.create(
                opening=opening, what=what[:120], client=by.client or "", at=now, entry=entry.entry_id
            )


def record_listing(what: str, *, by: Acting, now: datetime) -> None:
    """Record that this person read a list on which several patients stand, such as the worklist."""
    with transaction.atomic():
        note("access.read", of=("list", what, None), by=by, now=now, payload={"what": what})
