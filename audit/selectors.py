"""What others may ask of the record, without seeing its tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit import merkle
from audit.models import Outbox, Payload
from audit.opening import Shredded, open_payload
from audit.witnessed import (
    Coverage,
    WitnessStanding,
    WitnessState,
    coverage,
    releases_may_go_on,
    witness_state,
)

TILE_WIDTH = 256
__all__ = [
    "Coverage",
    "RecordState",
    "WitnessStanding",
    "WitnessState",
    "count_entries",
    "coverage",
    "holds",
    "named_objects",
    "next_version",
    "payload_of",
    "record_state",
    "recorded_at",
    "releases_may_go_on",
    "subtree_reader",
    "undelivered",
    "witness_state",
]


def next_version(object_type: str, object_id: str, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The version the object's next entry will have: 1 for an object not yet recorded. A look, not a reservation."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT max(version) FROM audit_objectversion WHERE object_type = %s AND object_id = %s",
            [object_type, object_id],
        )
        return int(cursor.fetchone()[0] or 0) + 1


def holds(table: str, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether anything has been recorded (`audit_pending`: numbered or not) or signed (`audit_checkpoint`), or any
    data key wrapped (`audit_datakey`).
    """
    tables = {
        "audit_pending": ("audit_entry", "audit_detached", "audit_pending"),
        "audit_checkpoint": ("audit_checkpoint",),
        "audit_datakey": ("audit_datakey",),
    }[table]
    asked = " OR ".join(f"EXISTS (SELECT 1 FROM {name})" for name in tables)  # noqa: S608  (the names above)
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT {asked}")
        return bool(cursor.fetchone()[0])


def named_objects(object_type: str, *, using: str = DEFAULT_DB_ALIAS) -> frozenset[str]:
    """The ids of the objects of that type that have entries. For types of few objects."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT DISTINCT object_id FROM audit_objectversion WHERE object_type = %s", [object_type])
        return frozenset(object_id for (object_id,) in cursor.fetchall())


def undelivered(topic: str, payloads: Iterable[Mapping[str, str]]) -> bool:
    """Whether one of these messages waits in the outbox, parked ones among them."""
    return Outbox.objects.filter(topic=topic, payload__in=list(payloads), sent_at__isnull=True).exists()


@dataclass(frozen=True, slots=True)
class RecordState:
    """How far the record is: entries numbered, entries pending, since when the oldest waits, and what is signed."""

    entries: int
    pending: int
    waiting_since: datetime | None
    signed: int
    signed_at: datetime | None


def record_state(*, using: str = DEFAULT_DB_ALIAS) -> RecordState:
    """For the health page: a sequencer that stands still shows in `waiting_since`."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position) + 1, 0) FROM audit_entry")
        (entries,) = cursor.fetchone()
        cursor.execute("SELECT count(*), min(entry_id::text) FROM audit_pending")
        pending, oldest = cursor.fetchone()
        cursor.execute("SELECT size, at FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
        signed, signed_at = cursor.fetchone() or (0, None)
    # An entry's id begins with the milliseconds of the database's clock at which it was written.
    since = datetime.fromtimestamp((UUID(oldest).int >> 80) / 1000, tz=UTC) if oldest else None
    return RecordState(entries, pending, since, signed, signed_at)


def payload_of(entry_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> Mapping[str, Any] | Shredded | None:
    """The payload recorded with an entry, None when it has none, Shredded when nobody can open it any more.

    Whoever shows it checks who may see it. Raises as `opening.open_payload`.
    """
    row = Payload.objects.using(using).filter(entry_id=entry_id).first()
    if row is None:
        return None
    found = open_payload(row, using=using)
    return found if isinstance(found, Shredded) else json.loads(found.body)


def count_entries(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """How many entries have been recorded, numbered or still pending."""
    with connections[using].cursor() as cursor:
        tables = ("audit_entry", "audit_detached", "audit_pending")
        cursor.execute(f"SELECT {' + '.join(f'(SELECT count(*) FROM {table})' for table in tables)}")  # noqa: S608
        return int(cursor.fetchone()[0])


def subtree_reader(*, using: str = DEFAULT_DB_ALIAS) -> merkle.Subtree:
    """Roots of parts of the log from the stored tiles, for `merkle.inclusion_proof` and `merkle.consistency_proof`."""

    def subtree(start: int, end: int) -> bytes:
        size = end - start
        if size & (size - 1):
            half = 1 << ((size - 1).bit_length() - 1)
            return merkle.node_hash(subtree(start, start + half), subtree(start + half, end))
        level = (size.bit_length() - 1) // 8
        return merkle.root(_level_hashes(level, start >> 8 * level, end >> 8 * level, using))

    return subtree


def _level_hashes(level: int, start: int, end: int, using: str) -> list[bytes]:
    """Hashes start..end-1 of a tile level: leaf hashes at level 0, roots of full tiles above."""
    if level == 0:
        query = "SELECT leaf_hash FROM audit_entry WHERE position >= %s AND position < %s ORDER BY position"
        values = [start, end]
    else:
        query = "SELECT root FROM audit_tile WHERE level = %s AND index >= %s AND index < %s ORDER BY index"
        values = [level - 1, start, end]
    with connections[using].cursor() as cursor:
        cursor.execute(query, values)
        hashes = [bytes(value) for (value,) in cursor.fetchall()]
        if level == 0 and len(hashes) != end - start:
            hashes = _from_tiles(cursor, start, end)
    if len(hashes) != end - start:
        raise LookupError(f"level {level} lacks hashes between {start} and {end}")
    return hashes


def _from_tiles(cursor: Any, start: int, end: int) -> list[bytes]:
    """Leaf hashes of entries that were detached: full tiles have them."""
    first = start // TILE_WIDTH
    cursor.execute(
        "SELECT hashes FROM audit_tile WHERE level = 0 AND index >= %s AND index <= %s ORDER BY index",
        [first, (end - 1) // TILE_WIDTH],
    )
    packed = b"".join(bytes(hashes) for (hashes,) in cursor.fetchall())
    size, before = merkle.HASH_SIZE, first * TILE_WIDTH
    return [packed[size * at : size * at + size] for at in range(start - before, end - before)]


def recorded_at(entry_ids: Iterable[UUID], *, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, datetime]:
    """When the database's clock saw these entries, of those that are numbered."""
    with connections[using].cursor() as cursor:
        asked = list(entry_ids)
        cursor.execute(
            "SELECT entry_id, at FROM audit_entry WHERE entry_id = ANY(%s)"
            " UNION ALL SELECT entry_id, at FROM audit_detached WHERE entry_id = ANY(%s)",
            [asked, asked],
        )
        return dict(cursor.fetchall())
