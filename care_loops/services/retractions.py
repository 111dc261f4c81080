"""A source takes back what it sent: the same identifier comes again with the status entered in error.

Rules
 * FHIR R4 Observation.status: `entered-in-error` withdraws the whole resource. Every version of it on record is
   corrected, as a member of staff would correct it: by an entry, never by an edit, and once.
 * What the danger rules said of it stands until a clinician disposes of it (CLINICAL 1.3); no average reads it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from governance.services import Acting

from ..domain.readings import Status
from ..models import BloodPressure, Correction
from .events import note

VERSION_KEPT_BESIDE = "#"  # `take_in` keeps other content under the source id, this, and a digest
REASON = "entered_in_error"


def take_back(
    retraction: BloodPressure, *, of_source: str, people: Iterable[UUID], by: Acting, now: datetime
) -> tuple[UUID, ...]:
    """Correct what `people` hold of the source id `of_source`; `retraction` is the row that says so.

    In the caller's transaction, under the lock of the record. Returns the readings that no longer count.
    """
    versions = Q(source_id=of_source) | Q(source_id__startswith=of_source[:180] + VERSION_KEPT_BESIDE)
    rows = BloodPressure.objects.filter(
        versions, source_system=retraction.source_system, patient__in=list(people), correction__isnull=True
    ).exclude(status=Status.ENTERED_IN_ERROR.value)
    taken_back = list(rows.order_by("received_at", "pk"))
    for row in taken_back:
        entry = note(
            "reading.corrected",
            of=("reading", row.pk, 1),
            by=by,
            now=now,
            patient_id=row.patient_id,
            reason=REASON,
            payload={"text": "", "moved_to": None, "retracted_by": str(retraction.pk)},
        )
        Correction.objects.create(reading=row, reason=REASON, at=now, entry=entry.entry_id)
    return tuple(row.pk for row in taken_back)
