"""Segments: a signed part of the log is sealed into an archive, and leaves the table of entries once that is safe.

The rules (SECURITY 3.2, 3.6; 21 CFR 11.10(c))
 * A segment begins where the last one detached ends, and ends at a multiple of 256 that lies before the period's end
   and under a checkpoint: signed, and cosigned by the quorum where witnesses are asked.
 * Its archive is a bundle. It is read back, and its entries must be those of the tiles and give the root under that
   checkpoint, before the entry `segment.sealed` names its digest, and again before anything leaves.
 * Detaching is one transaction of the owner's. Payloads, versions, tiles, checkpoints and cosignatures stay; of each
   entry its id, place, hash, type and time. What speaks of the log, of keys, holds, purges and segments stays whole.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import merkle
from audit.bundles.selecting import Report, Selection
from audit.domain import Actor, Change, Event, ObjectRef, Purpose
from audit.models import Segment
from audit.selectors import TILE_WIDTH, next_version, subtree_reader
from audit.services.archives import OBJECT, STAYS, Sealed, SegmentRefused, read_archive, sealed_as_said
from audit.services.exporting import Handing, export_bundle
from audit.services.recording import append
from audit.witnessed import covered_size, policy_here

# --- sealing ----------------------------------------------------------------------------------------------------------


def seal(*, until: datetime, out: Path, by: Actor, now: datetime, using: str = DEFAULT_DB_ALIAS) -> Sealed:
    """Write the archive of the next segment into the folder `out`, read it back, and record it.

    Raises SegmentRefused: nothing-to-seal, archive-there, archive-differs.
    """
    number, start, _ = _last(using)
    number, stop = number + 1, _stop(until, using)
    if stop - start < TILE_WIDTH:
        raise SegmentRefused("nothing-to-seal", f"no {TILE_WIDTH} covered entries from {start} on are before that time")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = out / f"segment-{number:06d}-{start}-{stop}.zip"
    if path.exists():
        raise SegmentRefused("archive-there", f"{path.name} is there already")
    said = (("segment", str(number)), ("positions", f"{start}-{stop}"))
    done = export_bundle(
        Selection(Report.PERIOD, within=(start, stop), said=said),
        may_read=lambda _: False,
        by=by,
        now=now,
        out=path,
        handing=Handing(Purpose.OPERATIONS, "archive"),
        using=using,
    )
    sealed = Sealed(number, start, stop, _root_at(stop, using), path.name, done.sha256)
    _checked(sealed, path, using)
    with transaction.atomic(using=using):
        version = next_version(OBJECT, str(number), using=using)
        append(
            Event(
                type="segment.sealed",
                occurred_at=now,
                actor=by,
                object=ObjectRef(OBJECT, str(number), version),
                purpose=Purpose.OPERATIONS,
                reason_code=done.sha256,
                change=Change(fields=("root",), after=sealed.root.hex()),
                payload=_payload(sealed),
            ),
            using=using,
        )
    return sealed


def _stop(until: datetime, using: str) -> int:
    """The last multiple of 256 before `until` that is covered as far as this site asks for it."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT min(position) FROM audit_entry WHERE at >= %s),"
            " (SELECT coalesce(max(size), 0) FROM audit_checkpoint)",
            [until],
        )
        beyond, signed = cursor.fetchone()
    covered = covered_size(using=using) if policy_here() is not None else signed
    return int(min(covered, signed if beyond is None else beyond)) // TILE_WIDTH * TILE_WIDTH


def _last(using: str) -> tuple[int, int, merkle.CompactRange]:
    """Number and end of the last segment detached, and the tree at that end."""
    row = Segment.objects.using(using).order_by("-number").first()
    if row is None:
        return 0, 0, merkle.CompactRange.empty()
    return row.number, row.stop, merkle.CompactRange.unpack(row.stop, bytes(row.hashes))


def _root_at(size: int, using: str) -> bytes:
    """The root over the first `size` entries, from the tiles, once it is shown to be under the newest checkpoint."""
    subtree = subtree_reader(using=using)
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT size, root FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
        signed, signed_root = cursor.fetchone()
    root = subtree(0, size)
    try:
        proof = merkle.consistency_proof(size, signed, subtree)
        merkle.check_consistency(old=size, new=signed, proof=proof, old_root=root, new_root=bytes(signed_root))
    except merkle.ProofInvalid as err:
        raise SegmentRefused("tiles-differ", f"the tiles up to {size} are not those of the checkpoint") from err
    return root


def _payload(sealed: Sealed) -> dict[str, Any]:
    return {
        "archive": sealed.archive,
        "archive_sha256": sealed.archive_sha256,
        "start": sealed.start,
        "stop": sealed.stop,
        "root": sealed.root.hex(),
    }


def _checked(sealed: Sealed, path: Path, using: str) -> merkle.CompactRange:
    """The tree at the segment's end, from the archive's own entries; it must be the one of the tiles."""
    _, _, tree = _last(using)
    for each in read_archive(sealed, path):
        tree.append(each.leaf_hash)
    if (tree.size, tree.root()) != (sealed.stop, sealed.root):
        raise SegmentRefused("archive-differs", f"{path.name} does not give the root of the log at {sealed.stop}")
    return tree


# --- detaching --------------------------------------------------------------------------------------------------------


def detach(number: int, *, archives: Path, by: Actor, now: datetime, using: str = DEFAULT_DB_ALIAS) -> Sealed:
    """Let the entries of a sealed segment leave, as the owner of the tables; `archives` is the folder of its archive.

    Raises SegmentRefused: not-sealed, already-detached, not-covered, legal-hold, archive-missing, archive-differs,
    not-the-owner.
    """
    last, start, _ = _last(using)
    if number <= last:
        raise SegmentRefused("already-detached", f"segment {number}")
    sealed, entry_id, position = sealed_as_said(number, using=using)
    if (sealed.number, sealed.start) != (last + 1, start):
        raise SegmentRefused("not-sealed", f"segment {number} does not follow the last one detached; seal it anew")
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT coalesce(max(size), 0) FROM audit_checkpoint")
        covered = covered_size(using=using) if policy_here() is not None else cursor.fetchone()[0]
    if position >= covered:
        raise SegmentRefused("not-covered", "the entry that seals it is not under a covered checkpoint yet")
    if held := _holds_in(sealed, using):
        raise SegmentRefused("legal-hold", ", ".join(held))
    if _root_at(sealed.stop, using) != sealed.root:
        raise SegmentRefused("tiles-differ", f"the log at {sealed.stop} is not the one that was sealed")
    tree = _checked(sealed, archives / sealed.archive, using)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if not _owns(cursor):
            raise SegmentRefused("not-the-owner", "the application cannot detach: `manage.py detach_segment` can")
        cursor.execute(_SEGMENT, [*_columns(sealed), tree.pack(), entry_id])
        cursor.execute(_INDEX, [sealed.start, sealed.stop, list(STAYS)])
        indexed = cursor.rowcount
        cursor.execute(_LEAVE, [sealed.start, sealed.stop, list(STAYS)])
        if cursor.rowcount != indexed:
            raise SegmentRefused("archive-differs", f"{indexed} entries were indexed, {cursor.rowcount} would leave")
        append(_said_detached(sealed, by, now, using), using=using)
    return sealed


_SEGMENT = """
INSERT INTO audit_segment (number, start, stop, root, archive, archive_sha256, hashes, entry_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_INDEX = """
INSERT INTO audit_detached (entry_id, position, leaf_hash, type, outcome, at)
SELECT entry_id, position, leaf_hash, type, outcome, at FROM audit_entry
WHERE position >= %s AND position < %s AND object_type <> ALL(%s)
"""
_LEAVE = "DELETE FROM audit_entry WHERE position >= %s AND position < %s AND object_type <> ALL(%s)"
_HOLDS = """
SELECT h.name FROM audit_legalhold h
WHERE h.released_at IS NULL AND (h.subject IS NULL OR EXISTS (
    SELECT 1 FROM audit_entry e WHERE e.subject = h.subject AND e.position >= %s AND e.position < %s))
ORDER BY h.name
"""


def _columns(sealed: Sealed) -> list[Any]:
    return [sealed.number, sealed.start, sealed.stop, sealed.root, sealed.archive, sealed.archive_sha256]


def _holds_in(sealed: Sealed, using: str) -> list[str]:
    with connections[using].cursor() as cursor:
        cursor.execute(_HOLDS, [sealed.start, sealed.stop])
        return [name for (name,) in cursor.fetchall()]


def _owns(cursor: Any) -> bool:
    cursor.execute("SELECT has_table_privilege(current_user, 'audit_segment', 'INSERT')")
    return bool(cursor.fetchone()[0])


def _said_detached(sealed: Sealed, by: Actor, now: datetime, using: str) -> Event:
    return Event(
        type="segment.detached",
        occurred_at=now,
        actor=by,
        object=ObjectRef(OBJECT, str(sealed.number), next_version(OBJECT, str(sealed.number), using=using)),
        purpose=Purpose.OPERATIONS,
        payload=_payload(sealed),
    )
