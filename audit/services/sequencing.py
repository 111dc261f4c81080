"""The sequencer: pending entries get their positions, and the tree grows over them. The publisher has its head signed.

The rules (SECURITY 3.2)
 * Only rows of transactions older than every running one are taken (`txid < pg_snapshot_xmin`): a row committed late is
   never passed by. Sequence values and ids say nothing about order and are not relied on.
 * An entry follows its predecessor of the same object: one whose `prev` is not in the log yet waits for it.
 * Positions are contiguous from 0. Entries, the deletion of their pending rows, tree state and tiles are one
   transaction: a kill in the middle leaves the log as it was.
 * One leader at a time, by an advisory lock of that transaction, which dies with its holder.
 * What is stored is read and hashed again before it is numbered. A pending row that is not an entry of this log with
   that hash is set aside: it stays pending, the program's log and verification name it, and the others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connections, transaction

from audit import entries, merkle
from audit.services import keys, pending, tiles

log = logging.getLogger(__name__)

BATCH = 2000
SEQUENCER = "sequencer"
LEADER_LOCK = 0x636C696E61756474  # "clinaudt"


class StillHeld(Exception):
    """A fault: pending entries could not be numbered in the time given; some transaction is still open."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A pending row as read."""

    id: int
    entry_id: Any
    leaf: bytes
    leaf_hash: bytes
    prev: bytes | None
    columns: tuple[Any, ...] = ()


def sequence_until_empty(*, using: str = SEQUENCER, timeout_s: float = 240.0, limit: int = BATCH) -> int:
    """Number everything pending, waiting for open transactions up to `timeout_s`; returns how many entries it numbered.

    For the demonstration and for tests; a site runs `run_sequencer`. Raises StillHeld when entries remain.
    """
    deadline, numbered = time.monotonic() + timeout_s, 0
    while True:
        done = sequence_batch(using=using, limit=limit)
        numbered += done
        if not done:
            if not _pending(using):
                return numbered
            if time.monotonic() > deadline:
                raise StillHeld(f"{_pending(using)} entries still pending")
            time.sleep(0.02)


def sequence_batch(*, using: str = SEQUENCER, limit: int = BATCH) -> int:
    """Number up to about `limit` entries in one transaction; 0 when there is nothing to do or another one leads."""
    with transaction.atomic(using=using, durable=True), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LEADER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        rows = _placeable(cursor, limit)
        if not rows:
            return 0
        tree = _tree(cursor)
        before = tree.size
        _enter(cursor, rows, start=before)
        for row in rows:
            tree.append(row.leaf_hash)
        cursor.execute(
            "INSERT INTO audit_treestate (size, hashes, root) VALUES (%s, %s, %s)",
            [tree.size, tree.pack(), tree.root()],
        )
        tiles.extend(cursor, old=before, new=tree.size)
        return len(rows)


def _pending(using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_pending")
        return int(cursor.fetchone()[0])


_SETTLED = """
SELECT id, entry_id, leaf, leaf_hash, prev FROM audit_pending
WHERE txid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY txid, id LIMIT %s
"""


def _placeable(cursor: Any, limit: int) -> list[_Row]:
    """Settled rows in an order in which every one comes after its predecessor."""
    while True:
        cursor.execute(_SETTLED, [limit])
        found = cursor.fetchall()
        rows = [row for row in map(_read, found) if row is not None]
        ordered = in_order(rows, known=_in_log(cursor, rows))
        if ordered or len(found) < limit:
            return ordered
        limit *= 2  # a full batch, and every row waits for one beyond it, or is set aside


def _read(found: tuple[Any, ...]) -> _Row | None:
    """The row with what its leaf says, or None when it may not enter the log."""
    number, entry_id, leaf, leaf_hash, prev = found
    try:
        columns = entries.columns(pending.check(entry_id, bytes(leaf), bytes(leaf_hash), prev, origin=keys.origin()))
    except pending.PendingUnsound as err:
        _say_once(str(entry_id), err.code)
        return None
    return _Row(number, entry_id, bytes(leaf), bytes(leaf_hash), bytes(prev) if prev is not None else None, columns)


@lru_cache(maxsize=1000)
def _say_once(entry_id: str, code: str) -> None:
    log.error("pending entry %s is set aside: %s", entry_id, code)


def _in_log(cursor: Any, rows: Sequence[_Row]) -> set[bytes]:
    """Predecessors that already have a position."""
    here = {row.leaf_hash for row in rows}
    wanted = [row.prev for row in rows if row.prev is not None and row.prev not in here]
    if not wanted:
        return set()
    cursor.execute(
        "SELECT leaf_hash FROM audit_entry WHERE leaf_hash = ANY(%s)"
        " UNION ALL SELECT leaf_hash FROM audit_detached WHERE leaf_hash = ANY(%s)",
        [wanted, wanted],
    )
    return {bytes(leaf_hash) for (leaf_hash,) in cursor.fetchall()}


def in_order(rows: Sequence[_Row], *, known: set[bytes]) -> list[_Row]:
    """Rows in the order given, each after its predecessor; rows whose predecessor is absent are left out."""
    placed, ordered, waiting = set(known), [], dict[bytes, list[_Row]]()
    for row in rows:
        if row.prev is not None and row.prev not in placed:
            waiting.setdefault(row.prev, []).append(row)
            continue
        ready = [row]
        while ready:
            next_row = ready.pop()
            ordered.append(next_row)
            placed.add(next_row.leaf_hash)
            ready += waiting.pop(next_row.leaf_hash, [])
    return ordered


def _tree(cursor: Any) -> merkle.CompactRange:
    """The tree as the last batch left it."""
    cursor.execute("SELECT size, hashes FROM audit_treestate ORDER BY size DESC LIMIT 1")
    row = cursor.fetchone()
    return merkle.CompactRange.unpack(row[0], bytes(row[1])) if row else merkle.CompactRange.empty()


_COPY = (
    "COPY audit_entry (position, entry_id, leaf, leaf_hash, type, at, occurred_at, actor_kind, actor_id,"
    " object_type, object_id, object_version, subject, outcome) FROM STDIN"
)


def _enter(cursor: Any, rows: Sequence[_Row], *, start: int) -> None:
    """Write the entries at their positions and take their pending rows away."""
    with cursor.copy(_COPY) as copy:
        for position, row in enumerate(rows, start):
            copy.write_row((position, row.entry_id, row.leaf, row.leaf_hash, *row.columns))
    cursor.execute("DELETE FROM audit_pending WHERE id = ANY(%s)", [[row.id for row in rows]])
