"""Full tiles of the tree, 256 hashes wide, written as they fill up, so that a proof reads a few rows and not the log.

The rules (C2SP tlog-tiles, width 256)
 * Tile (0, i) holds the leaf hashes of positions 256 i to 256 i + 255; tile (l, i) the roots of tiles (l-1, 256 i ...).
 * Only full tiles are stored, once; the right edge is read from the entries and from the roots of the tiles below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit import merkle
from audit.selectors import TILE_WIDTH


def extend(cursor: Any, *, old: int, new: int) -> None:
    """Store the tiles of every level that became full while the tree grew from `old` to `new` leaves."""
    first, last = old // TILE_WIDTH, new // TILE_WIDTH
    level = 0
    while last > first:
        hashes = _hashes(cursor, level, first * TILE_WIDTH, last * TILE_WIDTH)
        for index in range(first, last):
            _store(cursor, level, index, hashes[(index - first) * TILE_WIDTH :][:TILE_WIDTH])
        first, last = first // TILE_WIDTH, last // TILE_WIDTH
        level += 1


def _hashes(cursor: Any, level: int, start: int, end: int) -> list[bytes]:
    if level == 0:
        cursor.execute(
            "SELECT leaf_hash FROM audit_entry WHERE position >= %s AND position < %s ORDER BY position", [start, end]
        )
    else:
        cursor.execute(
            "SELECT root FROM audit_tile WHERE level = %s AND index >= %s AND index < %s ORDER BY index",
            [level - 1, start, end],
        )
    return [bytes(value) for (value,) in cursor.fetchall()]


def _store(cursor: Any, level: int, index: int, hashes: Sequence[bytes]) -> None:
    if len(hashes) != TILE_WIDTH:
        raise ValueError(f"tile {level}/{index} has {len(hashes)} hashes")
    cursor.execute(
        "INSERT INTO audit_tile (level, index, hashes, root) VALUES (%s, %s, %s, %s)",
        [level, index, b"".join(hashes), merkle.root(hashes)],
    )
