"""What is to happen after commit: the outbox, its relay, and the inbox that makes repeats harmless (SECURITY 4).

The rules
 * A message is written in the transaction of what it follows from, and carries identifiers only, no personal data.
 * The relay takes a message (attempt counted and leased, committed), then hands it to its handler and marks it sent in
   a second transaction. A crash between the two means: again, later. So delivery is at least once.
 * In that second transaction the inbox is asked first: a message whose effect has committed is not handed over again.
   Database effects happen once; effects outside the database must be repeatable.
 * After five attempts, crashes included, a message is parked with its last error's name and waits for a person.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit.models import Outbox
from audit.services.recording import NotInTransaction

MAX_ATTEMPTS = 5
LEASE_SECONDS = 60
BACKOFF_SECONDS = (1, 5, 30, 120, 600)
RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Message:
    """What a handler is given. `attempts` counts from 1."""

    id: UUID
    topic: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RelayReport:
    """What one pass of the relay did. `repeated` were already delivered and only marked so."""

    sent: int = 0
    repeated: int = 0
    failed: int = 0
    parked: int = 0


Handler = Callable[[Message], None]


def enqueue(
    topic: str,
    payload_ids: Mapping[str, Any],
    *,
    available_at: datetime | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> UUID:
    """Leave a message for `topic` in the open transaction, deliverable from `available_at` (default: at once)."""
    if not connections[using].in_atomic_block:
        raise NotInTransaction(topic)
    message = Outbox(id=uuid.uuid4(), topic=topic, payload=dict(payload_ids))
    if available_at is not None:
        message.available_at = available_at
    message.save(using=using, force_insert=True)
    return message.id


def take_once(consumer: str, message_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether this consumer takes the message now for the first time. Call it in the transaction of the effect."""
    if not connections[using].in_atomic_block:
        raise NotInTransaction(consumer)
    with connections[using].cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_inbox (consumer, message_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [consumer, message_id],
        )
        return bool(cursor.rowcount == 1)


def relay(handlers: Mapping[str, Handler], *, limit: int = 100, using: str = DEFAULT_DB_ALIAS) -> RelayReport:
    """Deliver up to `limit` due messages of the topics that have a handler; safe in any number of processes at once."""
    report = {"sent": 0, "repeated": 0, "failed": 0, "parked": 0}
    for _ in range(limit):
        message = _lease(sorted(handlers), using)
        if message is None:
            break
        report[_deliver(message, handlers[message.topic], using)] += 1
    return RelayReport(**report)


_LEASE = """
UPDATE audit_outbox SET attempts = attempts + 1, available_at = clock_timestamp() + make_interval(secs => %s)
WHERE id = (
    SELECT id FROM audit_outbox
    WHERE topic = ANY(%s) AND sent_at IS NULL AND parked_at IS NULL AND available_at <= clock_timestamp()
    ORDER BY available_at FOR UPDATE SKIP LOCKED LIMIT 1
)
RETURNING id, topic, attempts, created_at
"""


def _lease(topics: list[str], using: str) -> Message | None:
    """The next due message, its attempt already counted and committed, out of others' sight for the lease."""
    with connections[using].cursor() as cursor:
        cursor.execute(_LEASE, [LEASE_SECONDS, topics])
        row = cursor.fetchone()
    if row is None:
        return None
    payload = Outbox.objects.using(using).values_list("payload", flat=True).get(pk=row[0])
    return Message(id=row[0], topic=row[1], payload=payload, attempts=row[2], created_at=row[3])


def _deliver(message: Message, handler: Handler, using: str) -> str:
    if message.attempts > MAX_ATTEMPTS:  # the last attempt ended in a crash, not in an exception
        _settle(message.id, "parked_at = clock_timestamp(), last_error = 'died'", [], using)
        return "parked"
    try:
        with transaction.atomic(using=using):
            first = take_once(f"{RELAY}:{message.topic}", message.id, using=using)
            if first:
                handler(message)
            _settle(message.id, "sent_at = clock_timestamp(), last_error = ''", [], using)
    except Exception as err:  # noqa: BLE001  any handler's failure is kept by name and tried again
        return _failed(message, type(err).__name__, using)
    return "sent" if first else "repeated"


def _failed(message: Message, error: str, using: str) -> str:
    """Keep the error's name only: its text may hold what a patient said."""
    if message.attempts >= MAX_ATTEMPTS:
        _settle(message.id, "parked_at = clock_timestamp(), last_error = %s", [error], using)
        return "parked"
    wait = BACKOFF_SECONDS[message.attempts - 1]
    change = "available_at = clock_timestamp() + make_interval(secs => %s), last_error = %s"
    _settle(message.id, change, [wait, error], using)
    return "failed"


def _settle(message_id: UUID, change: str, values: list[Any], using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"UPDATE audit_outbox SET {change} WHERE id = %s AND sent_at IS NULL",  # noqa: S608  (constants above)
            [*values, message_id],
        )
