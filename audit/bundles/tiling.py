"""What stands between the included entries, as few hashes as prove it.

The rules
 * Every gap becomes maximal aligned subtrees: [a, a + 2^k) where 2^k divides a, none reaching past a gap's end.
 * A gap is split at the size of every included checkpoint, so that one walk over entries and hashes in order passes
   through each of those sizes and can compare its root.
 * Entries and hashes together tile [0, N) exactly: no place is covered twice, none is not covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audit.merkle import Subtree


@dataclass(frozen=True, slots=True)
class Rest:
    """The root over the entries start .. end-1, none of which is in the bundle."""

    start: int
    end: int
    hash: bytes


def aligned(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The maximal aligned subtrees of [start, end), in order."""
    while start < end:
        width = start & -start or 1 << (end - start).bit_length()
        while start + width > end:
            width >>= 1
        yield start, start + width
        start += width


def rest_between(positions: Iterable[int], *, size: int, splits: Iterable[int], subtree: Subtree) -> Iterator[Rest]:
    """The hashes of every gap that ascending `positions` leave in [0, size)."""
    cuts = sorted({cut for cut in splits if 0 < cut < size} | {size})
    at, cut = 0, 0
    for position in _then(positions, size):
        while at < position:
            while cuts[cut] <= at:
                cut += 1
            for start, end in aligned(at, min(position, cuts[cut])):
                yield Rest(start, end, subtree(start, end))
                at = end
        at = position + 1


def _then(positions: Iterable[int], last: int) -> Iterator[int]:
    yield from positions
    yield last
