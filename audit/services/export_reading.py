"""What an export reads: the choice of positions, their rows, the checkpoints around them, the hashes between them.

The rules
 * Everything in one snapshot (`snapshot`); positions are kept (8 bytes each), rows pass by in pages.
 * Of the checkpoints come the last one, the newest that the quorum has cosigned and, for each entry, the nearest
   before and after it.
 * Tiles are read once each, in the order of the log: an export of one patient from a long log reads few of them.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils.module_loading import import_string

from audit import entries, merkle, notes
from audit.bundles import Body
from audit.bundles.selecting import (
    DESTROYED,
    GONE,
    HEADS,
    LOG_ITSELF,
    MADE,
    PASSKEYS,
    SIGNED,
    WHOLE,
    Report,
    Selection,
    chosen,
)
from audit.entries import read_leaf
from audit.opening import Plain, open_payloads
from audit.selectors import TILE_WIDTH
from audit.services import keys
from audit.services.archives import HERE, Entries, bring_in
from audit.verification import BATCH_KIND
from audit.witnessed import covered_size

PAGE = 1000
TILES_KEPT = 64
NOTHING_GONE = Entries()
Object = tuple[str, str]  # type and id
_TABLE = re.compile(rf"\b{HERE}\b")


@dataclass(frozen=True, slots=True)
class Summary:
    """What an entry says in its searched columns: what `may_read` decides by."""

    position: int
    entry_id: UUID
    type: str
    actor_kind: str
    actor_id: str
    object_type: str
    object_id: str
    subject: str | None
    versioned: bool


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload row, not opened."""

    id: UUID
    alg: str
    dek_id: str | None
    salt: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """An entry to be written: its exact canonical bytes and its payload, if it has one."""

    summary: Summary
    encoded: bytes
    payload: StoredPayload | None


@dataclass(frozen=True, slots=True)
class Gone:
    """What the log says is destroyed: payloads by their id, everything about somebody by pseudonym; at which place."""

    payloads: dict[str, int]
    subjects: dict[str, int]

    def has(self, row: Row) -> bool:
        """Whether a later entry says that the payload of this one is destroyed."""
        by_ref = self.payloads.get(str(row.payload.id), -1) if row.payload else -1
        return row.summary.position < max(by_ref, self.subjects.get(row.summary.subject or "", -1))


@dataclass(frozen=True, slots=True)
class Choice:
    """The positions of a bundle. `asked` of them were asked for, the others come with every bundle.

    `unsigned` were asked for and lie beyond the last checkpoint; `unnumbered` entries of any kind have no place yet;
    `entries` is where they stand: what is in archives that are not there cannot be looked into.
    """

    positions: array[int]
    asked: int
    unsigned: int
    unnumbered: int
    gone: Gone
    entries: Entries

    @property
    def detached(self) -> int:
        """How many entries, of any kind, are in archives that were not there."""
        return sum(each.entries for each in self.entries.missing)


def pseudonym(patient_id: object) -> str:
    """A patient as the log knows them."""
    return entries.pseudonym(str(patient_id), tenant_key=keys.tenant_key())


@contextmanager
def snapshot(using: str = DEFAULT_DB_ALIAS, *, archives: Path | None = None) -> Iterator[Entries]:
    """One unmoving view of the tables, and of what stands in `archives`, for everything read inside.

    Nothing can be written in it once the archives are read, into a table of this transaction alone.
    """
    outermost = not connections[using].in_atomic_block
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        entries = bring_in(archives, using=using)
        if outermost:
            cursor.execute("SET TRANSACTION READ ONLY")
        yield entries


def last_head(using: str = DEFAULT_DB_ALIAS) -> notes.TreeHead | None:
    """Size and root of the last signed checkpoint; None before the first."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT size, root FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
        row = cursor.fetchone()
    return notes.TreeHead(keys.origin(), row[0], bytes(row[1])) if row else None


def choose(selection: Selection, *, size: int, held: Entries = NOTHING_GONE, using: str = DEFAULT_DB_ALIAS) -> Choice:
    """Which positions below `size` the bundle has, ascending."""
    over = _Over(held.relation)
    sql, params = chosen(selection)
    asked, unsigned = array("q"), 0
    for position, leaf in _matching(over, sql, params, leaves=bool(selection.purposes), using=using):
        if leaf is not None and _purpose(leaf) not in selection.purposes:
            continue
        if position < size:
            asked.append(position)
        else:
            unsigned += 1
    with connections[using].cursor() as cursor:
        whole = selection.report is Report.EVERYTHING
        beside = set() if whole else {at for at in _beside(cursor, over, sql, params) if at < size}
        gone = _gone(cursor, size)
        cursor.execute("SELECT count(*) FROM audit_pending")
        unnumbered = int(cursor.fetchone()[0])
    beside.difference_update(asked)
    every = array("q", sorted([*asked, *beside])) if beside else asked
    return Choice(every, len(asked), unsigned, unnumbered, gone, held)


@dataclass(frozen=True, slots=True)
class _Over:
    """The constant queries, over the relation in which this export finds entries."""

    relation: str

    def __call__(self, sql: str) -> str:
        return _TABLE.sub(self.relation, sql)


def _beside(cursor: Any, over: _Over, sql: str, params: list[Any]) -> set[int]:
    """What comes with every bundle, each object of it whole."""
    cursor.execute(over(f"WITH chosen AS ({sql}) {LOG_ITSELF} UNION {DESTROYED}"), params)
    found = {at for (at,) in cursor.fetchall()}
    cursor.execute(over(f"WITH chosen AS ({sql}) {SIGNED}"), params)
    if signers := {who for (who,) in cursor.fetchall()}:
        cursor.execute(over(PASSKEYS), [sorted(signers)])
        found |= {at for (at,) in cursor.fetchall()}
        cursor.execute(over(f"WITH chosen AS ({sql}) {MADE}"), [*params, sorted(signers)])
        found |= {at for (at,) in cursor.fetchall()}
    cursor.execute(over(WHOLE), [sorted(found)])
    return found | {at for (at,) in cursor.fetchall()}


def _gone(cursor: Any, size: int) -> Gone:
    payloads, subjects = dict[str, int](), dict[str, int]()
    cursor.execute(GONE)
    for position, kind, object_id, subject in cursor.fetchall():
        if position >= size:
            continue
        if kind == "payload.shredded":
            payloads[object_id] = position
        elif subject is not None:
            subjects[subject] = position
    return Gone(payloads, subjects)


def _matching(
    over: _Over, sql: str, params: list[Any], *, leaves: bool, using: str
) -> Iterator[tuple[int, bytes | None]]:
    joined = "c.position, e.leaf FROM ({}) c JOIN audit_entry e USING (position)"
    query = joined if leaves else "c.position, NULL::bytea FROM ({}) c"
    with connections[using].chunked_cursor() as cursor:
        cursor.execute(over(f"SELECT {query.format(sql)} ORDER BY c.position"), params)
        while page := cursor.fetchmany(PAGE):
            for position, leaf in page:
                yield position, None if leaf is None else bytes(leaf)


def _purpose(leaf: bytes) -> str:
    return str(read_leaf(leaf, origin=keys.origin())["purpose"])


_ROWS = """
SELECT e.position, e.entry_id, e.type, e.actor_kind, e.actor_id, e.object_type, e.object_id, e.subject,
       e.object_version IS NOT NULL, e.leaf, p.id, p.alg, p.dek_id, p.salt, p.body
FROM audit_entry e LEFT JOIN audit_payload p ON p.entry_id = e.entry_id
WHERE e.position = ANY(%s) ORDER BY e.position
"""


def rows(
    positions: Sequence[int], *, held: Entries = NOTHING_GONE, using: str = DEFAULT_DB_ALIAS
) -> Iterator[list[Row]]:
    """The entries at these positions, page by page. Raises LookupError when one is gone."""
    before, asked = len(entries.frame(keys.origin())), _Over(held.relation)(_ROWS)
    for start in range(0, len(positions), PAGE):
        wanted = list(positions[start : start + PAGE])
        with connections[using].cursor() as cursor:
            cursor.execute(asked, [wanted])
            found = cursor.fetchall()
        if len(found) != len(wanted):
            raise LookupError(f"entries between {wanted[0]} and {wanted[-1]} are gone")
        yield [_row(row, before) for row in found]


def heads(
    objects: Sequence[Object], *, size: int, held: Entries = NOTHING_GONE, using: str = DEFAULT_DB_ALIAS
) -> dict[Object, tuple[int, bytes]]:
    """Newest version below `size`, and its leaf hash, of each of these objects: of the log, whatever was chosen."""
    if not objects:
        return {}
    types, ids = zip(*objects, strict=True)
    with connections[using].cursor() as cursor:
        cursor.execute(_Over(held.relation)(HEADS), [list(types), list(ids), size])
        return {(kind, name): (version, bytes(leaf)) for kind, name, version, leaf in cursor.fetchall()}


def _row(row: tuple[Any, ...], before: int) -> Row:
    kept = None
    if row[10] is not None:
        kept = StoredPayload(row[10], row[11], row[12], bytes(row[13]), bytes(row[14]))
    return Row(Summary(*row[:9]), bytes(row[9])[before:], kept)


def payloads(found: Sequence[Row], *, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, Body | None]:
    """The payloads of these entries in the clear; None for one whose key was destroyed. Raises as `open_payloads`."""
    kept = [(row.summary.entry_id, row.payload) for row in found if row.payload is not None]
    opened = open_payloads([payload for _, payload in kept], using=using)
    return {
        entry_id: Body(plain.salt, plain.body) if isinstance(plain, Plain) else None
        for (entry_id, _), plain in zip(kept, opened, strict=True)
    }


def about_keys(summary: Summary) -> bool:
    """Whether the entry is about keys in the open (the log's, a passkey's): its payload comes with every bundle."""
    return summary.object_type in ("log", "credential") and summary.subject is None


def is_batch(summary: Summary) -> bool:
    """Whether the entry accepts a batch of a device."""
    return summary.type == BATCH_KIND


def batch_rows(summary: Summary) -> list[bytes] | None:
    """The readings of a batch as stored, in order, from the site's reader; None when they are not kept here."""
    path = getattr(settings, "AUDIT_BATCH_ROWS", "")
    found = import_string(path)(summary.object_type, summary.object_id) if path else None
    return None if found is None else list(found)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def checkpoints(
    positions: Sequence[int], *, everything: bool, using: str = DEFAULT_DB_ALIAS
) -> Iterator[tuple[int, bytes, bytes | None]]:
    """(size, note with its cosignatures, timestamp token or None), ascending: all, or those next to the positions.

    The newest covered one is always there: it covers what the nearest, cosigned by nobody, would leave unwitnessed.
    """
    if everything:
        sizes = array("q", _sizes(using))
    else:
        covered = [size] if (size := covered_size(using=using)) else []
        sizes = array("q", sorted({*_next_to(positions, _sizes(using)), *covered}))
    for start in range(0, len(sizes), PAGE):
        yield from _noted(list(sizes[start : start + PAGE]), using)


def _sizes(using: str) -> Iterator[int]:
    with connections[using].chunked_cursor() as cursor:
        cursor.execute("SELECT size FROM audit_checkpoint ORDER BY size")
        while page := cursor.fetchmany(PAGE):
            for (size,) in page:
                yield size


def _next_to(positions: Sequence[int], sizes: Iterator[int]) -> Iterator[int]:
    """Of ascending sizes: those between which a position lies, and the last."""
    before, given = 0, 0
    for size in sizes:
        at = bisect_left(positions, before)
        if at < len(positions) and positions[at] < size:
            if before > given:
                yield before
            yield size
            given = size
        before = size
    if before > given:
        yield before


def _noted(sizes: list[int], using: str) -> Iterator[tuple[int, bytes, bytes | None]]:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT size, line FROM audit_cosignature WHERE size = ANY(%s) ORDER BY size, key_name", [sizes])
        lines: dict[int, list[bytes]] = {}
        for size, line in cursor.fetchall():
            lines.setdefault(size, []).append(bytes(line).rstrip(b"\n") + b"\n")
        cursor.execute("SELECT size, token FROM audit_timestamp WHERE size = ANY(%s)", [sizes])
        stamps = {size: bytes(token) for size, token in cursor.fetchall()}
        cursor.execute("SELECT size, note FROM audit_checkpoint WHERE size = ANY(%s) ORDER BY size", [sizes])
        for size, note in cursor.fetchall():
            yield size, bytes(note) + b"".join(lines.get(size, ())), stamps.get(size)


# --- hashes between them ----------------------------------------------------------------------------------------------


def subtrees(using: str = DEFAULT_DB_ALIAS) -> merkle.Subtree:
    """The roots of aligned subtrees, from tiles that are read once while one goes through the log in order."""

    @lru_cache(maxsize=TILES_KEPT)
    def tile(level: int, index: int) -> tuple[bytes, ...]:
        return _tile(level, index, using)

    def subtree(start: int, end: int) -> bytes:
        level = ((end - start).bit_length() - 1) // 8
        first, last = start >> 8 * level, end >> 8 * level
        hashes = tile(level, first // TILE_WIDTH)[first % TILE_WIDTH :][: last - first]
        if len(hashes) != last - first:
            raise LookupError(f"level {level} lacks hashes between {first} and {last}")
        return merkle.root(hashes)

    return subtree


def _tile(level: int, index: int, using: str) -> tuple[bytes, ...]:
    """The hashes of one tile; of the tile at the right edge as many as there are."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT hashes FROM audit_tile WHERE level = %s AND index = %s", [level, index])
        if row := cursor.fetchone():
            packed = bytes(row[0])
            return tuple(packed[i : i + merkle.HASH_SIZE] for i in range(0, len(packed), merkle.HASH_SIZE))
        edge = [index * TILE_WIDTH, (index + 1) * TILE_WIDTH]
        if level == 0:
            cursor.execute(
                "SELECT leaf_hash FROM audit_entry WHERE position >= %s AND position < %s ORDER BY position", edge
            )
        else:
            cursor.execute(
                "SELECT root FROM audit_tile WHERE level = %s AND index >= %s AND index < %s ORDER BY index",
                [level - 1, *edge],
            )
        return tuple(bytes(value) for (value,) in cursor.fetchall())
