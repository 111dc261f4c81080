"""What is known of devices and of what they sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from .domain import NotTrusted, Outcome
from .envelope import Signed
from .models import Batch, Device, DeviceAssignment, DeviceKey, Received, RefusedReading
from .policies import Tenure


def key_for(signed: Signed) -> DeviceKey:
    """The key a message names, of the device it names. Raises `NotTrusted` naming what is wrong."""
    head = signed.head
    key = DeviceKey.objects.select_related("device").filter(key_id=signed.key_id).first()
    if key is None:
        known = DeviceKey.objects.filter(device_id=head.device_id).exists()
        code = "unknown_key" if known else "unknown_device"
        raise NotTrusted(code, "The message is not signed by a device that is enrolled here.")
    if str(key.device_id) != head.device_id:
        raise NotTrusted("foreign_device", "This key belongs to another device.", status=403)
    if key.revoked_at is not None:
        raise NotTrusted("key_revoked", "This device's key was revoked; enrol it again.", status=403)
    return key


def tenures(device_id: UUID) -> tuple[Tenure, ...]:
    """Whose device it was and is, newest first."""
    rows = DeviceAssignment.objects.filter(device_id=device_id).order_by("-since")
    return tuple(Tenure(row.patient_id, row.since, row.until) for row in rows)


def stored_batch(device_id: UUID, *, boot_id: str, first_seq: int, last_seq: int, body_sha256: str) -> Batch | None:
    """The same batch, when it was taken in before."""
    return Batch.objects.filter(
        device_id=device_id, boot_id=boot_id, first_seq=first_seq, last_seq=last_seq, body_sha256=body_sha256
    ).first()


def received_before(device_id: UUID, *, boot_id: str, seqs: Iterable[int]) -> dict[int, Received]:
    """Which of these numbers were taken before, with what."""
    rows = Received.objects.filter(device_id=device_id, boot_id=boot_id, seq__in=set(seqs))
    return {row.seq: row for row in rows}


def refused(*, now: datetime, days: int = 30, device_id: UUID | None = None) -> QuerySet[RefusedReading]:
    """What was refused or held back at the entrance, newest first."""
    recent = RefusedReading.objects.filter(received_at__gte=now - timedelta(days=days))
    rows = recent.select_related("device").order_by("-received_at", "id")
    return rows.filter(device_id=device_id) if device_id is not None else rows


def of_patients(records: Collection[UUID]) -> Q:
    """What was refused of these records: readings said to be theirs, and messages of a device they held just then."""
    when = OuterRef("received_at")
    held = DeviceAssignment.objects.filter(
        Q(until__isnull=True) | Q(until__gt=when), device=OuterRef("device"), patient_id__in=records, since__lte=when
    )
    return Q(patient_id__in=records) | Q(Exists(held), patient_id__isnull=True)


def device_of(patient_id: UUID) -> Device | None:
    """The device a patient has now; the newest when there are several."""
    held = DeviceAssignment.objects.filter(patient_id=patient_id, until__isnull=True).order_by("-since")
    found = held.select_related("device").first()
    return found.device if found else None


def outcomes() -> dict[str, int]:
    """How many readings were answered with each outcome, over all batches taken in."""
    counted = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    for (response,) in Batch.objects.values_list("response").iterator():
        said = json.loads(bytes(response))
        for name in counted:
            counted[name] += len(said[name])
    return counted
