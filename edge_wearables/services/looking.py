"""Looking at what was refused: staff who hold SEE_QUARANTINE may, and the look is recorded.

Rules
 * Who comes as a clinician is shown what concerns the patients of their own care teams, and nothing of anybody else's
   (N10); administrators and data engineers, who mend feeds, are shown every row.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.services.recording import append
from care_loops.selectors.quarantine import OF_THE_SITE, records_of
from governance.domain import Permission, Relation
from governance.permissions import check
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..models import RefusedReading
from ..selectors import of_patients, refused


@looking_wider(Wider.HELD_BACK)
def look_at_refused(
    *, by: Acting, now: datetime, device_id: UUID | None, page: int, size: int
) -> tuple[list[RefusedReading], bool]:
    """One page, newest first, and whether there is more. Raises `NotAllowed`."""
    by = by.under(check(Permission.SEE_QUARANTINE, by.standing, frozenset({Relation.SITE})))
    with transaction.atomic():
        everything = refused(now=now, device_id=device_id)
        if not by.standing.roles & OF_THE_SITE:
            everything = everything.filter(of_patients(records_of(by, now=now)))
        rows = everything[(page - 1) * size : page * size + 1]
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
