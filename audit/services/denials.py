"""What was refused is recorded too, in a transaction of its own, and a flood of it cannot fill the record.

The rules (SECURITY 3.3)
 * The refused act's transaction rolls back, so its denial is written after it, alone.
 * The first denials of one actor, type and reason in a minute are entries of their own. The rest are counted, and
   become one entry with the count once the minute has passed (`flush_denials`, run by a scheduled job).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import entries
from audit.domain import Appended, Device, Event, EventInvalid, Job, Model, ObjectRef, Outcome, Person, Purpose
from audit.models import DenialTally
from audit.services.commands import actor_name
from audit.services.recording import append

BURST = 20


def append_denied(event: Event, *, using: str = DEFAULT_DB_ALIAS) -> Appended | None:
    """Record a refused act in its own transaction; None when it was counted instead of written.

    Call it where no transaction is open. Raises what `append` raises, and RuntimeError inside a transaction.
    """
    if event.outcome is not Outcome.DENIED or not event.reason_code:
        raise EventInvalid("denied", f"{event.type}: a denial has outcome denied and a reason")
    entries.check_event(event)
    with transaction.atomic(using=using, durable=True):
        if _count(event, using) > BURST:
            return None
        return append(event, using=using)


_TALLY = """
INSERT INTO audit_denialtally (actor, type, reason_code, minute, count, sample)
VALUES (%s, %s, %s, date_trunc('minute', clock_timestamp()), 1, %s)
ON CONFLICT (actor, type, reason_code, minute) DO UPDATE SET count = audit_denialtally.count + 1
RETURNING count
"""


def _count(event: Event, using: str) -> int:
    with connections[using].cursor() as cursor:
        sample = json.dumps({"actor": _pack(event.actor), "object": event.object.type, "purpose": event.purpose})
        cursor.execute(_TALLY, [actor_name(event.actor)[:255], event.type, event.reason_code, sample])
        return int(cursor.fetchone()[0])


def flush_denials(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> int:
    """Record what was counted in minutes that have passed, one entry per tally; returns how many entries."""
    closed = now - timedelta(minutes=1)
    written = 0
    DenialTally.objects.using(using).filter(minute__lte=closed, count__lte=BURST).delete()
    while True:
        with transaction.atomic(using=using, durable=True):
            tally = (
                DenialTally.objects.using(using)
                .select_for_update(skip_locked=True)
                .filter(minute__lte=closed, count__gt=BURST)
                .first()
            )
            if tally is None:
                return written
            append(_summary(tally), using=using)
            tally.delete(using=using)
        written += 1


def _summary(tally: DenialTally) -> Event:
    return Event(
        type=tally.type,
        occurred_at=tally.minute,
        actor=_unpack(tally.sample["actor"]),
        object=ObjectRef(tally.sample["object"], "many"),
        purpose=Purpose(tally.sample["purpose"]),
        outcome=Outcome.DENIED,
        reason_code=tally.reason_code,
        payload={"aggregated": tally.count - BURST, "minute": entries.stamp(tally.minute)},
    )


def _pack(actor: Person | Device | Job | Model) -> list[str]:
    match actor:
        case Person():
            return ["user", actor.id, actor.role]
        case Device():
            return ["device", actor.id]
        case Job():
            return ["service", actor.name, actor.run]
        case Model():
            return ["model", actor.id, actor.version]


def _unpack(packed: list[Any]) -> Person | Device | Job | Model:
    match packed:
        case ["user", who, role]:
            return Person(who, role)
        case ["device", who]:
            return Device(who)
        case ["service", name, run]:
            return Job(name, run)
        case ["model", who, version]:
            return Model(who, version)
        case _:
            raise EventInvalid("anonymous", "a tally without its actor")
