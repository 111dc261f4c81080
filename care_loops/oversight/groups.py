"""Which groups may be shown: none in which one person's figures could be told, nor by subtraction (CLINICAL 4.3).

Rules
 * A group with fewer than `least` people who decided is not shown. Who knows their own figures must not learn another
   person's from what is left, so two are too few.
 * Whatever can be computed from what is shown, by adding and subtracting groups of any kind and the whole, is put
   together from cells: the decisions that lie in just the same shown groups. So each cell holds enough people. Where
   one does not, a shown group is left out: the one without which most is well, of those the smallest. The whole
   is taken to be known: other pages count it.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One decision as grouping sees it: which, by whom, and in which group of each kind."""

    name: str
    decider: str
    groups: tuple[Key, ...]


def shown_groups(rows: Iterable[Row], *, least: int) -> frozenset[Key]:
    """The groups that may be shown."""
    listed = tuple(rows)
    held: dict[Key, list[Row]] = {}
    for row in listed:
        for key in row.groups:
            held.setdefault(key, []).append(row)
    shown = {key for key, rows in held.items() if _people(rows) >= least}
    while shown and _too_small(listed, shown, least):
        shown.discard(min(shown, key=lambda key: (_too_small(listed, shown - {key}, least), len(held[key]), key)))
    return frozenset(shown)


def _people(rows: Iterable[Row]) -> int:
    return len({row.decider for row in rows})


def _too_small(rows: Iterable[Row], shown: Set[Key], least: int) -> int:
    """How many cells have too few people."""
    cells: dict[frozenset[Key], list[Row]] = {}
    for row in rows:
        cells.setdefault(frozenset(key for key in row.groups if key in shown), []).append(row)
    return sum(_people(inside) < least for inside in cells.values())
