"""Raw samples of wearables go when they have expired, person by person, each beside its tombstone (DAT-09).

Rules
 * Samples that an alert names as its evidence stay with it. So does everything of a person under a legal hold.
 * The database lets a sample go only beside the entry of the same transaction that names its person, and none that is
   younger than the policy's minimum by its own clock (migration 0012).
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db import transaction

from audit.services.export_reading import pseudonym
from audit.services.retention import CHUNK, Expiry, Gone, Held, digest_of, entomb, with_entry
from audit.services.shredding import holds_for

from ..models import AlertEvent, SensorSample


def purge_samples(expiry: Expiry) -> Iterator[Gone | Held]:
    """Every expired sample, by person; a person of very many in several steps."""
    old = SensorSample.objects.filter(received_at__lt=expiry.cutoff)
    for patient_id in old.order_by().values_list("patient_id", flat=True).distinct():
        if held := holds_for(pseudonym(patient_id)):
            yield Held(str(patient_id), old.filter(patient_id=patient_id).count(), held)
            continue
        while (gone := _one_step(expiry, patient_id)) is not None:
            yield gone
            if expiry.dry or gone.count < CHUNK:
                break


def _one_step(expiry: Expiry, patient_id: UUID) -> Gone | None:
    named = AlertEvent.objects.filter(alert__patient_id=patient_id).exclude(evidence="")
    kept = {evidence for text in named.values_list("evidence", flat=True) for evidence in text.split(",")}
    with transaction.atomic():
        old = SensorSample.objects.filter(patient_id=patient_id, received_at__lt=expiry.cutoff).order_by("pk")
        rows = [row for row in old if str(row.pk) not in kept][: None if expiry.dry else CHUNK]
        if not rows:
            return None
        times = [row.received_at for row in rows]
        gone = Gone(str(patient_id), len(rows), min(times), max(times), digest_of(_said(row) for row in rows))
        if expiry.dry:
            return gone
        entry = entomb(expiry, gone, subject=str(patient_id))
        SensorSample.objects.filter(pk__in=[row.pk for row in rows]).delete()
        return with_entry(gone, entry)


def _said(row: SensorSample) -> str:
    span = f"{row.starts_at.isoformat()}|{row.ends_at.isoformat()}"
    return f"{row.pk}|{row.source_system}|{row.source_id}|{row.kind}|{row.value}|{row.unit}|{span}"
