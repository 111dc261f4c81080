"""What is refused at the door is recorded and kept, so that it can be looked at; a flood of it cannot fill the house.

Rules
 * A refused message is recorded as `batch.rejected`, by the device when its signature held, else by the entrance.
 * Its body is kept up to `MAX_KEPT` bytes with its size and digest. In a flood only the first of each minute are kept
   and the rest are counted (`audit.services.denials`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Actor, Event, Job, ObjectRef, Purpose
from audit.domain import Device as DeviceActor
from audit.domain import Outcome as ActOutcome
from audit.services.denials import append_denied
from audit.services.recording import append
from governance.domain import Refusal
from governance.services import Acting

from ..domain import Outcome
from ..envelope import Message
from ..models import DeviceKey, RefusedReading

MAX_KEPT = 64 * 1024
ENTRANCE = "device-entrance"


def keep_message(
    why: Refusal, message: Message, *, key: DeviceKey | None, look: Callable[[], None], now: datetime
) -> None:
    """Record and keep a message that was refused as a whole. `key` is given when its signature held.

    `look` looks at it for danger, in the transaction that keeps it, and in a flood as well.
    """
    claimed = message.headers.get("Device-Id", "")[:80]
    actor: Actor = Job(ENTRANCE, str(uuid4()))
    if key is not None:
        actor = DeviceActor(str(key.device_id), key_id=key.key_id)
    noted = append_denied(
        Event(
            type="batch.rejected",
            occurred_at=now,
            actor=actor,
            object=ObjectRef("device", str(_uuid(claimed) or "unknown")),
            purpose=Purpose.OPERATIONS,
            outcome=ActOutcome.DENIED,
            reason_code=why.code,
        )
    )
    with transaction.atomic():
        look()
        if noted is None:
            return
        RefusedReading.objects.create(
            device=key.device if key is not None else None,
            claimed_device=claimed.encode("ascii", "replace").decode().replace("\x00", "?"),
            outcome=Outcome.REJECTED.value,
            code=why.code[:40],
            detail=why.detail[:300],
            body=message.body[:MAX_KEPT],
            body_size=len(message.body),
            body_sha256=hashlib.sha256(message.body).hexdigest(),
            received_at=now,
            entry=noted.entry_id,
        )


def keep_readings(rows: Iterable[RefusedReading], *, by: Acting, batch_id: UUID, now: datetime) -> UUID | None:
    """Record and keep what a batch brought that was refused or held back: one entry, in the batch's own transaction."""
    kept = list(rows)
    if not kept:
        return None
    entry = append(
        Event(
            type="reading.quarantined",
            occurred_at=now,
            actor=by.actor,
            object=ObjectRef("device_batch", str(batch_id)),
            purpose=Purpose.SAFETY,
            reason_code=kept[0].code,
            payload={
                "count": len(kept),
                "readings": [{"seq": row.seq, "code": row.code, "outcome": row.outcome} for row in kept[:200]],
            },
        )
    )
    for row in kept:
        row.entry = entry.entry_id
    RefusedReading.objects.bulk_create(kept)
    return entry.entry_id


def _uuid(text: str) -> UUID | None:
    with contextlib.suppress(ValueError):
        return UUID(text)
    return None
