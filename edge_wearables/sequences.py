"""Sequence numbers of one boot of one device: the high-water mark and the gaps below it (SECURITY F13 to F15, B29).

Rules
 * Numbers start at 1. A number once taken is never taken again with other content.
 * A gap is a closed range of numbers not yet seen below the mark; late arrivals close it. The mark only rises.
 * A jump of more than `MAX_JUMP` over the mark is not believed: the number is quarantined and does not move the mark.
 * At most `MAX_GAPS` gaps are kept; a batch that would make more is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .domain import Unreadable

MAX_JUMP = 1_000_000
MAX_GAPS = 2_000
MAX_SEQ = 2**53 - 1

Gap = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """The highest number seen, and the closed ranges below it that were not."""

    high_water: int = 0
    gaps: tuple[Gap, ...] = ()

    def jumps(self, seq: int) -> bool:
        """Whether this number lies too far ahead to be believed."""
        return seq > self.high_water + MAX_JUMP

    def taking(self, seqs: Iterable[int]) -> Mark:
        """The mark after these numbers were taken, in any order. Raises `Unreadable` when the gaps are too many."""
        high, gaps = self.high_water, list(self.gaps)
        for seq in sorted(set(seqs)):
            if seq > high:
                if seq > high + 1:
                    gaps.append((high + 1, seq - 1))
                high = seq
            else:
                gaps = [part for gap in gaps for part in _without(gap, seq)]
        if len(gaps) > MAX_GAPS:
            raise Unreadable("too_many_gaps", f"This would leave more than {MAX_GAPS} gaps in the sequence.")
        return Mark(high, tuple(gaps))


def _without(gap: Gap, seq: int) -> list[Gap]:
    low, high = gap
    if not low <= seq <= high:
        return [gap]
    return [part for part in ((low, seq - 1), (seq + 1, high)) if part[0] <= part[1]]
