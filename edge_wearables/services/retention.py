"""Bodies of what was refused go when they have expired; digest, size, reason and entry stay (DAT-09).

Rules
 * Those of a known person go person by person, and stay under a legal hold; the others by the month of their arrival.
 * The database lets a body be emptied only beside the entry of the same transaction, and none that is younger than the
   policy's minimum by its own clock (migration 0004).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit.services.export_reading import pseudonym
from audit.services.retention import CHUNK, Expiry, Gone, Held, digest_of, entomb, with_entry
from audit.services.shredding import holds_for

from ..models import RefusedReading


def purge_bodies(expiry: Expiry) -> Iterator[Gone | Held]:
    """Empty every expired body."""
    old = RefusedReading.objects.filter(received_at__lt=expiry.cutoff).exclude(body=b"")
    people: Iterable[UUID | None] = old.order_by().values_list("patient_id", flat=True).distinct()
    for patient_id in people:
        rows = old.filter(patient_id=patient_id) if patient_id else old.filter(patient__isnull=True)
        if held := holds_for(pseudonym(patient_id) if patient_id else None):
            yield Held(str(patient_id or "nobody"), rows.count(), held)
        elif patient_id is not None:
            yield _emptied(expiry, rows, str(patient_id), subject=str(patient_id))
        else:
            for month in rows.dates("received_at", "month"):
                of_month = rows.filter(received_at__year=month.year, received_at__month=month.month)
                yield _emptied(expiry, of_month, f"{month:%Y-%m}", subject=None)


def _emptied(expiry: Expiry, rows: QuerySet[RefusedReading], scope: str, *, subject: str | None) -> Gone:
    with transaction.atomic():
        found = list(rows.order_by("pk").values_list("pk", "body_sha256", "received_at")[:CHUNK])
        times = [at for *_, at in found]
        said = digest_of(f"{pk}|{digest}" for pk, digest, _ in found)
        gone = Gone(scope, len(found), min(times), max(times), said)
        if expiry.dry:
            return gone
        entry = entomb(expiry, gone, subject=subject)
        RefusedReading.objects.filter(pk__in=[pk for pk, *_ in found]).update(body=b"")
        return with_entry(gone, entry)
