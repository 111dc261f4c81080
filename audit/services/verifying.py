"""Reads the stored record in one snapshot and hands it, row by row, to the verification.

Nothing is written. Beside what the verification computes, questions only the database can answer: payloads, their keys
and versions that belong to no entry, pending rows that do not fit their hash, shredded payloads that still have a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils.module_loading import import_string

from audit import canonical, entries, notes, opening
from audit.kinds import UnknownKind
from audit.services import keys, pending, signing
from audit.services.archives import Archived, archived_entries
from audit.services.beside import first_astray
from audit.services.publishing import rotations
from audit.stored import StoredDetached, StoredEntry, StoredHead, StoredPayload
from audit.verification import Bad, BatchRows, Report, Verification, check_tiles
from audit.witnessed import policy_here

CHUNK = 2000
BEFORE_ALL = -(2**63)


@dataclass(frozen=True, slots=True)
class Outside:
    """What is not from this database: a key to trust, a checkpoint once seen, the folder of the archives."""

    verifier_key: notes.VerifierKey | None = None
    checkpoint: bytes | None = None
    archives: Path | None = None


def verify_log(*, outside: Outside | None = None, using: str = DEFAULT_DB_ALIAS) -> tuple[Report, int]:
    """Recompute the whole record as of now; the report, and how many entries are still pending.

    Raises notes.NoteInvalid when the checkpoint handed in is not one of this log, segments.SegmentRefused when an
    archive is missing or is another than was sealed.
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
        report = verification.run(merge(_rows(using), _detached(outside.archives, using), key=attrgetter("position")))
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
    UNION ALL SELECT stop, root, NULL::bytea, hashes, 0, NULL::bytea[] FROM audit_segment
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
        kept = _payload(found[row[15]], bytes(row[16]), row[15], row[20]) if row[15] else None
        yield StoredEntry(row[0], row[1], bytes(row[2]), bytes(row[3]), row[4:14], version_hash, kept)


_GONE = """
SELECT d.position, d.entry_id, d.leaf_hash, v.object_type, v.object_id, v.version, v.leaf_hash,
       p.id, p.commit, p.salt, p.alg, p.body, p.dek_id
FROM audit_detached d
LEFT JOIN audit_objectversion v ON v.entry_id = d.entry_id
LEFT JOIN audit_payload p ON p.entry_id = d.entry_id AND %s
WHERE d.position > %s ORDER BY d.position LIMIT %s
"""


def _detached(archives: Path | None, using: str) -> Iterator[StoredEntry | StoredDetached]:
    """What was detached, by its hash; or whole, with its payload, where an archive is there to read it from."""
    last, texts = BEFORE_ALL, archived_entries(archives, using=using) if archives else None
    with connections[using].cursor() as cursor:
        while True:
            cursor.execute(_GONE, [archives is not None, last, CHUNK])
            if not (page := cursor.fetchall()):
                return
            if texts is None:
                yield from map(_by_hash, page)
            else:
                yield from _from_archive(page, texts, using)
            last = page[-1][0]


def _by_hash(row: tuple[Any, ...]) -> StoredDetached:
    if row[3] is None:
        return StoredDetached(row[0], row[1], bytes(row[2]))
    return StoredDetached(row[0], row[1], bytes(row[2]), f"{row[3]}\x00{row[4]}", row[5], bytes(row[6]))


def _from_archive(page: list[tuple[Any, ...]], texts: Iterator[Archived], using: str) -> Iterator[StoredEntry]:
    sealed = [_SealedRow(row[7], row[10], bytes(row[9]), row[12], bytes(row[11])) for row in page if row[7]]
    found = dict(zip((row.id for row in sealed), opening.look_at(sealed, using=using), strict=True))
    for row in page:
        text = next(each for each in texts if each.position >= row[0])
        kept = _payload(found[row[7]], bytes(row[8]), row[7], row[12]) if row[7] else None
        version_hash = bytes(row[6]) if row[6] is not None else None
        yield StoredEntry(row[0], row[1], text.leaf, bytes(row[2]), text.columns, version_hash, kept)


@dataclass(frozen=True, slots=True)
class _SealedRow:
    id: UUID
    alg: str
    salt: bytes
    dek_id: str | None
    body: bytes


def _payload(
    found: opening.Plain | opening.Shredded | opening.Unsound, commit: bytes, payload_id: UUID, dek_id: str | None
) -> StoredPayload:
    match found:
        case opening.Plain(salt, body):
            return StoredPayload(payload_id, commit, salt, body, dek_id)
        case opening.Shredded():
            return StoredPayload(payload_id, commit, None, None, dek_id)
        case opening.Unsound(_, why):
            return StoredPayload(payload_id, commit, None, None, dek_id, unsound=why)


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
    " AND NOT EXISTS (SELECT 1 FROM audit_detached d WHERE d.entry_id = x.entry_id)"
)
_ASTRAY = """
SELECT d.entry_id FROM audit_detached d
WHERE NOT EXISTS (SELECT 1 FROM audit_segment s WHERE d.position >= s.start AND d.position < s.stop) LIMIT 1
"""


def _left_over(using: str, read: int) -> Bad | None:
    """What is stored beside the log and belongs to nothing in it."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM audit_entry) + (SELECT count(*) FROM audit_detached)")
        if (stored := cursor.fetchone()[0]) != read:  # two rows of one position, once the primary key is gone
            return Bad(None, None, "entries-hidden", f"{stored} rows are stored, {read} stand in the log")
        cursor.execute(_ASTRAY)
        if row := cursor.fetchone():
            return Bad(None, str(row[0]), "detached-astray", "it was detached, and no segment says so")
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
    return check_tiles(_all_tiles(using)) or _keys_left_over(using) or first_astray(using)


def _count_pending(using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_pending")
        return int(cursor.fetchone()[0])
