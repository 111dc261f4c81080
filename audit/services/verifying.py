"""Reads the stored record in one snapshot and hands it, row by row, to the verification.

Nothing is written. Beside what the verification computes, questions only the database can answer: payloads, their keys
and versions that belong to no entry, pending rows that do not fit their hash, shredded payloads that still have a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils.module_loading import import_string

from audit import canonical, entries, notes, opening
from audit.kinds import UnknownKind
from audit.services import keys, pending, signing
from audit.services.publishing import rotations
from audit.verification import (
    Bad,
    BatchRows,
    Report,
    StoredEntry,
    StoredHead,
    StoredPayload,
    Verification,
    check_tiles,
)
from audit.witnessed import policy_here

CHUNK = 2000
BEFORE_ALL = -(2**63)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the verifier holds that is not from this database: a key to trust, a checkpoint once seen."""

    verifier_key: notes.VerifierKey | None = None
    checkpoint: bytes | None = None


def verify_log(*, outside: Outside | None = None, using: str = DEFAULT_DB_ALIAS) -> tuple[Report, int]:
    """Recompute the whole record as of now; the report, and how many entries are still pending.

    Raises notes.NoteInvalid when the checkpoint handed in is not one of this log.
    """
    outside = outside or Outside()
    origin = keys.origin()
    trusted = outside.verifier_key or signing.first_key()
    policy = policy_here()
    seen = outside.checkpoint
    with _snapshot(using):
        verification = Verification(
            origin=origin,
            keys=(trusted,),
            heads=_heads(using),
            tiles=_tiles(using),
            batch_rows=_batch_rows(),
            witnesses=[each.key for each in policy.witnesses] if policy else (),
            shreds=_pending_shreds(using),
            remembered=notes.open_checkpoint(seen, origin=origin, keys=(trusted, *_later_keys())) if seen else None,
        )
        report = verification.run(_rows(using))
        if report.first_bad is None and (left := _left_over(using, report.entries)):
            report = replace(report, first_bad=left)
        return report, _count_pending(using)


def _later_keys() -> Iterator[notes.VerifierKey]:
    """The keys that the log's own rotation entries name; each counts only as far as verification follows it."""
    for said in rotations():
        yield notes.VerifierKey.parse(said["new"])


@contextmanager
def _snapshot(using: str) -> Iterator[None]:
    """One unmoving view of the tables, so that a sequencer at work raises no false alarm."""
    outermost = not connections[using].in_atomic_block
    with transaction.atomic(using=using):
        if outermost:
            with connections[using].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _batch_rows() -> BatchRows | None:
    """The site's reader of batches (setting AUDIT_BATCH_ROWS, a dotted path): readings live in another app."""
    path = getattr(settings, "AUDIT_BATCH_ROWS", "")
    return import_string(path) if path else None


_ROWS = """
SELECT e.position, e.entry_id, e.leaf, e.leaf_hash, e.type, e.at, e.occurred_at, e.actor_kind, e.actor_id,
       e.object_type, e.object_id, e.object_version, e.subject, e.outcome,
       v.leaf_hash, p.id, p.commit, p.salt, p.alg, p.body, p.dek_id
FROM audit_entry e
LEFT JOIN audit_objectversion v
    ON v.object_type = e.object_type AND v.object_id = e.object_id AND v.version = e.object_version
LEFT JOIN audit_payload p ON p.entry_id = e.entry_id
WHERE e.position > %s ORDER BY e.position LIMIT %s
"""
_HEADS = """
SELECT size, root, note, hashes, lines FROM (
    SELECT size, root, NULL::bytea AS note, hashes, 0 AS kind, NULL::bytea[] AS lines FROM audit_treestate
    UNION ALL SELECT size, root, note, NULL::bytea, 1,
        (SELECT array_agg(line ORDER BY key_name) FROM audit_cosignature s WHERE s.size = c.size)
        FROM audit_checkpoint c
) heads ORDER BY size, kind
"""


def _stream(using: str, query: str) -> Iterator[tuple[Any, ...]]:
    with connections[using].chunked_cursor() as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


def _rows(using: str) -> Iterator[StoredEntry]:
    """The entries page by page along the primary key, so that the database sorts nothing and holds nothing."""
    last = BEFORE_ALL
    with connections[using].cursor() as cursor:
        while True:
            cursor.execute(_ROWS, [last, CHUNK])
            page = cursor.fetchall()
            if not page:
                return
            yield from _opened(page, using)
            last = page[-1][0]


def _opened(page: list[tuple[Any, ...]], using: str) -> Iterator[StoredEntry]:
    """A page of rows with their payloads in the clear; the keys of all are asked for at once."""
    sealed = [_SealedRow(row[15], row[18], bytes(row[17]), row[20], bytes(row[19])) for row in page if row[15]]
    found = dict(zip((row.id for row in sealed), opening.look_at(sealed, using=using), strict=True))
    for row in page:
        version_hash = bytes(row[14]) if row[14] is not None else None
        kept = _payload(found[row[15]], bytes(row[16]), row) if row[15] else None
        yield StoredEntry(row[0], row[1], bytes(row[2]), bytes(row[3]), row[4:14], version_hash, kept)


@dataclass(frozen=True, slots=True)
class _SealedRow:
    id: UUID
    alg: str
    salt: bytes
    dek_id: str | None
    body: bytes


def _payload(
    found: opening.Plain | opening.Shredded | opening.Unsound, commit: bytes, row: tuple[Any, ...]
) -> StoredPayload:
    match found:
        case opening.Plain(salt, body):
            return StoredPayload(row[15], commit, salt, body, row[20])
        case opening.Shredded():
            return StoredPayload(row[15], commit, None, None, row[20])
        case opening.Unsound(_, why):
            return StoredPayload(row[15], commit, None, None, row[20], unsound=why)


def _heads(using: str) -> Iterator[StoredHead]:
    for size, root, note, hashes, lines in _stream(using, _HEADS):
        said = None if note is None else bytes(note)
        yield StoredHead(size, bytes(root), said, bytes(hashes or b""), tuple(bytes(line) for line in lines or ()))


def _tiles(using: str) -> Iterator[bytes]:
    for (hashes,) in _stream(using, "SELECT hashes FROM audit_tile WHERE level = 0 ORDER BY index"):
        yield bytes(hashes)


def _all_tiles(using: str) -> Iterator[tuple[int, int, bytes, bytes]]:
    for level, index, hashes, root in _stream(
        using, "SELECT level, index, hashes, root FROM audit_tile ORDER BY level, index"
    ):
        yield level, index, bytes(hashes), bytes(root)


def _pending_shreds(using: str) -> set[tuple[str, str]]:
    """What entries that are not numbered yet say is shredded: the keys went in the same transaction."""
    found = set()
    for (leaf,) in _stream(using, "SELECT leaf FROM audit_pending ORDER BY txid, id"):
        try:
            entry = entries.read_leaf(bytes(leaf), origin=keys.origin())
        except (entries.EntryInvalid, canonical.NotCanonical, UnknownKind):
            continue  # `_left_over` names it
        if (shred := entries.shred_in(entry)) is not None:
            found.add(shred)
    return found


_UNDONE = """
SELECT v.entry_id, v.object_id FROM audit_payloadkey k
JOIN audit_objectversion v ON v.object_type = 'payload' AND v.object_id = k.payload_id::text LIMIT 1
"""
_STRAY_KEY = """
SELECT k.payload_id FROM audit_payloadkey k
WHERE NOT EXISTS (SELECT 1 FROM audit_payload p WHERE p.id = k.payload_id) LIMIT 1
"""


def _keys_left_over(using: str) -> Bad | None:
    """Keys of payloads that are said to be shredded, or that are not there."""
    with connections[using].cursor() as cursor:
        cursor.execute(_UNDONE)
        if row := cursor.fetchone():
            return Bad(None, str(row[0]), "payload-not-shredded", f"payload {row[1]} still has its key")
        cursor.execute(_STRAY_KEY)
        if row := cursor.fetchone():
            return Bad(None, None, "payload-key-orphan", f"a key of payload {row[0]}, which is not there")
    return None


_IN_RECORD = (
    "NOT EXISTS (SELECT 1 FROM audit_entry e WHERE e.entry_id = x.entry_id)"
    " AND NOT EXISTS (SELECT 1 FROM audit_pending q WHERE q.entry_id = x.entry_id)"
)


def _left_over(using: str, read: int) -> Bad | None:
    """What is stored beside the log and belongs to nothing in it."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_entry")
        if (stored := cursor.fetchone()[0]) != read:  # two rows of one position, once the primary key is gone
            return Bad(None, None, "entries-hidden", f"{stored} rows are stored, {read} stand in the log")
        for table, code in (("audit_payload", "payload-orphan"), ("audit_objectversion", "version-orphan")):
            cursor.execute(f"SELECT x.entry_id FROM {table} x WHERE {_IN_RECORD} LIMIT 1")  # noqa: S608  (constants)
            if row := cursor.fetchone():
                return Bad(None, str(row[0]), code, "its entry is neither in the log nor pending")
        cursor.execute("SELECT entry_id, leaf, leaf_hash, prev FROM audit_pending ORDER BY txid, id")
        for entry_id, leaf, leaf_hash, prev in cursor:
            try:
                pending.check(entry_id, bytes(leaf), bytes(leaf_hash), prev, origin=keys.origin())
            except pending.PendingUnsound as err:
                return Bad(None, str(entry_id), err.code, "a pending entry that cannot enter the log")
    return check_tiles(_all_tiles(using)) or _keys_left_over(using)


def _count_pending(using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_pending")
        return int(cursor.fetchone()[0])
