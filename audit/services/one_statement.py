"""The statement that writes an entry: the database puts its clock and the predecessor into the leaf, and hashes it.

The rules
 * One round trip. Everything of the leaf but its time, its id and `prev` is given; the database fills these in where
   they stand, hashes, and writes pending row, payload with its key, and version. What it wrote it answers, and the
   caller hashes the same bytes again.
 * Rows that name the entry may ride with it (`riding`): after the entry and its version, and only when that was free.
 * Nothing is written, and nothing is answered, when the version before is not there or the data key is not alive.
 * The statement is planned once for each connection (a prepared statement), its values travel as they are (binary).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from django.db import models
from django.db.backends.utils import CursorWrapper

from audit import entries
from audit.domain import ObjectRef
from audit.services import riding
from audit.services.payloads import SEALED, SealedPayload

NO_TIME = datetime(1, 1, 1, tzinfo=UTC)
NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Written:
    """What the database filled in, the hash of the leaf it made, whether the version was free; the rows' numbers."""

    at: datetime
    entry_id: UUID
    prev: bytes | None
    leaf_hash: bytes
    was_free: bool
    numbers: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A leaf without its time, its id's first half and `prev`: the bytes before, between and after them."""

    parts: tuple[bytes, ...]
    tail: str

    def leaf(self, written: Written) -> bytes:
        """The leaf as the database must have made it."""
        filled = [entries.stamp(written.at).encode(), str(written.entry_id).encode()]
        if written.prev is not None:
            filled.append(written.prev.hex().encode())
        first, *rest = self.parts
        return first + b"".join(value + part for value, part in zip(filled, rest, strict=True))


def fresh_tail() -> str:
    """The random half of a UUID of version 7, as it is written."""
    low = f"{0b10 << 62 | secrets.randbits(62):016x}"
    return f"-7{secrets.randbits(12):03x}-{low[:4]}-{low[4:]}"


def unfilled_id(tail: str) -> UUID:
    """The id before the database's time is in it."""
    return UUID(f"00000000-0000{tail}")


def draft(leaf: bytes, tail: str, *, chained: bool) -> Draft:
    """Cut a leaf made with NO_TIME, `unfilled_id` and NO_HASH where the database fills in.

    A quote inside a string is escaped, so `,"at":"` and `"prev":"` stand only where the schema has those keys.
    """
    no_time, no_id = entries.stamp(NO_TIME).encode(), str(unfilled_id(tail)).encode()
    first, rest = leaf.split(b',"at":"' + no_time, 1)
    second, rest = rest.split(b',"id":"' + no_id, 1)
    parts = [first + b',"at":"', second + b',"id":"', rest]
    if chained:
        third, rest = rest.split(b'"prev":"' + NO_HASH.hex().encode(), 1)
        parts[2:] = [third + b'"prev":"', rest]
    return Draft(tuple(parts), tail)


def write(
    cursor: CursorWrapper,
    sketch: Draft,
    *,
    of: ObjectRef,
    kept: SealedPayload | None,
    rows: Sequence[models.Model] = (),
) -> Written | None:
    """Execute it; None when nothing was written: the version before, or the data key, is not there."""
    chained = of.version is not None and of.version > 1
    values: dict[str, Any] = {f"part{n}": part for n, part in enumerate(sketch.parts)} | {"tail": sketch.tail}
    if of.version is not None:
        values |= {"type": of.type, "object": of.id, "version": of.version}
    if kept is not None:
        values |= {"payload": kept.id, "commit": kept.commit, "alg": SEALED, "body": kept.body, "key": kept.key}
        values |= {"dek": kept.dek_id, "dek_name": str(kept.dek_id)}
    if rows:
        values |= riding.values(rows)
    cursor.execute(_statement(of.version is not None, chained, kept is not None, riding.models_of(rows)), values)
    found = cursor.fetchone()
    if found is None:
        return None
    stamp, entry_id, prev, leaf_hash, was_free, *numbers = found
    return Written(datetime.fromisoformat(stamp), entry_id, prev, leaf_hash, was_free, tuple(numbers))


_TIME = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS at),
told AS (
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS stamp,
        lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') AS millis
    FROM clock
),
filled AS MATERIALIZED (
    SELECT stamp, substr(millis, 1, 8) || '-' || substr(millis, 9) || %(tail)s::text AS id, {prev} AS prev
    FROM told {conditions}
),
leaf AS MATERIALIZED (
    SELECT stamp, id::uuid AS entry_id, prev,
        %(part0)s::bytea || convert_to(stamp, 'UTF8') || %(part1)s::bytea || convert_to(id, 'UTF8') || {rest} AS leaf
    FROM filled
),
hashed AS MATERIALIZED (
    SELECT stamp, entry_id, prev, leaf, sha256('\\x00'::bytea || leaf) AS leaf_hash FROM leaf
),
queued AS (
    INSERT INTO audit_pending (entry_id, leaf, leaf_hash, prev) SELECT entry_id, leaf, leaf_hash, prev FROM hashed
    RETURNING entry_id, leaf_hash
)"""
_PAYLOAD = """,
kept AS (
    INSERT INTO audit_payload (id, entry_id, commit, salt, alg, dek_id, body)
    SELECT %(payload)s::uuid, entry_id, %(commit)s::bytea, ''::bytea, %(alg)s, %(dek_name)s, %(body)s::bytea
    FROM hashed
),
keyed AS (
    INSERT INTO audit_payloadkey (payload_id, dek_id, sealed)
    SELECT %(payload)s::uuid, %(dek)s::uuid, %(key)s::bytea FROM hashed
)"""
_VERSION = """,
versioned AS (
    INSERT INTO audit_objectversion (object_type, object_id, version, entry_id, leaf_hash)
    SELECT %(type)s, %(object)s, %(version)s::bigint, entry_id, leaf_hash FROM queued
    ON CONFLICT DO NOTHING RETURNING entry_id
)"""
_PREDECESSOR = """CROSS JOIN LATERAL (
        SELECT leaf_hash FROM audit_objectversion
        WHERE object_type = %(type)s AND object_id = %(object)s AND version = %(version)s::bigint - 1
    ) before"""
# Asked as a value, so that it is answered by the row of that id and by no search through the living.
_ALIVE = "(SELECT destroyed_at IS NULL FROM audit_datakey WHERE id = %(dek)s::uuid)"


@lru_cache(maxsize=256)
def _statement(versioned: bool, chained: bool, sealed: bool, kinds: tuple[type[models.Model], ...]) -> str:
    conditions = f"{_PREDECESSOR if chained else ''} {f'WHERE {_ALIVE}' if sealed else ''}"
    rest = "%(part2)s::bytea"
    if chained:
        rest += " || convert_to(encode(prev, 'hex'), 'UTF8') || %(part3)s::bytea"
    made = _TIME.format(prev="before.leaf_hash" if chained else "NULL::bytea", conditions=conditions, rest=rest)
    ridden, numbers = riding.written(kinds, after="versioned" if versioned else "queued")
    parts = [made + (_PAYLOAD if sealed else "") + (_VERSION if versioned else ""), *ridden]
    was_free = "EXISTS (SELECT FROM versioned)" if versioned else "true"
    answered = ", ".join(("stamp, entry_id, prev, leaf_hash", was_free, *numbers))
    return f"{', '.join(parts)} SELECT {answered} FROM hashed"  # noqa: S608  (ours)


class _Prepared(psycopg.Cursor[Any]):
    """Executes as a prepared statement, values and answers in binary."""

    def execute(self, query: Any, params: Any = None, **_how: Any) -> _Prepared:
        return super().execute(query, params, prepare=True, binary=True)


def prepared_cursor(connection: Any) -> CursorWrapper:
    """A cursor of Django's connection that prepares what it executes; Django's wrappers and errors stay."""
    connection.ensure_connection()
    ours = connection.connection
    if ours.prepare_threshold is None:  # Django's default: never; its own cursors do not prepare in any case
        ours.prepare_threshold = 5
    cursor: CursorWrapper = connection._prepare_cursor(_Prepared(ours))  # noqa: SLF001  (Django's own way)
    return cursor
