"""Which groups may be shown: none in which one person's figures could be told, nor by subtraction (CLINICAL 4.3).

Rules
 * A group with fewer than `least` people who decided is not shown. Who knows their own figures must not learn another
   person's from what is left, so two are too few.
 * Whatever can be computed from what is shown must hold nobody or enough people: a whole less its shown parts, a group
   of one kind less the shown groups of another kind that lie inside it. Where it does not, the smallest part is left
   out as well. The whole is taken to be known: other pages count it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    members: dict[Key, frozenset[str]] = {}
    for row in listed:
        for key in row.groups:
            members[key] = members.get(key, frozenset()) | {row.name}
    decider = {row.name: row.decider for row in listed}
    whole = frozenset(decider)
    shown = {key for key, held in members.items() if _people(held, decider) >= least}
    while (one := _gives_away(shown, members, whole, decider, least)) is not None:
        shown.discard(one)
    return frozenset(shown)


def _people(names: Iterable[str], decider: Mapping[str, str]) -> int:
    return len({decider[name] for name in names})


def _gives_away(
    shown: set[Key],
    members: Mapping[Key, frozenset[str]],
    whole: frozenset[str],
    decider: Mapping[str, str],
    least: int,
) -> Key | None:
    """A shown group to leave out, because what is left beside it names too few people; None when all is well."""
    containers = [whole, *(members[key] for key in sorted(shown))]
    for container in containers:
        for kind in sorted({kind for kind, _ in shown}):
            inside = [key for key in sorted(shown) if key[0] == kind and members[key] < container]
            left = container.difference(*(members[key] for key in inside))
            if inside and 0 < _people(left, decider) < least:
                return min(inside, key=lambda key: (len(members[key]), key))
    return None
