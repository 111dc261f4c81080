"""Looking at what was refused: staff who hold SEE_QUARANTINE may, and the look is recorded."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.services.recording import append
from governance.domain import Permission, Relation
from governance.permissions import check
from governance.services import Acting

from ..models import RefusedReading
from ..selectors import refused


def look_at_refused(
    *, by: Acting, now: datetime, device_id: UUID | None, page: int, size: int
) -> tuple[list[RefusedReading], bool]:
    """One page, newest first, and whether there is more. Raises `NotAllowed`."""
    by = by.under(check(Permission.SEE_QUARANTINE, by.standing, frozenset({Relation.SITE})))
    with transaction.atomic():
        rows = refused(now=now, device_id=device_id)[(page - 1) * size : page * size + 1]
        found = list(rows)
        append(
            Event(
                type="access.read",
                occurred_at=now,
                actor=by.actor,
                on_behalf_of=by.on_behalf_of,
                object=ObjectRef("refused_readings", str(device_id or "all")),
                purpose=Purpose.OPERATIONS,
                payload={"what": "refused readings", "page": page},
            )
        )
    return found[:size], len(found) > size
