"""Findings: how grave, whose, by when, and the way from open to closed. Pure; numbers are in `data/finding_rules.json`.

Rules (REGULATORY 2.3 Art. 9 and 72; PEERS 3 auditor)
 * open -> owned -> action recorded -> closed; a closed one that recurs is reopened. What is critical is checked by one
   person and closed by another.
 * Closing takes another person than who owns it and than who recorded the action.
 * The same cause on the same thing within the period is one finding with one occurrence more. It never gets milder.
 * A critical finding that is not closed suspends what it is about, where that can be suspended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files

from .domain import Refusal
from .suspension import Ref, Scope

MARKS = frozenset({"checked", "from memory", "proposal"})


class Severity(StrEnum):
    """How grave, from the least."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    def at_least(self, other: Severity) -> Severity:
        """The graver of the two."""
        order = list(Severity)
        return max(self, other, key=order.index)


class FindingState(StrEnum):
    """Where a finding stands."""

    OPEN = "open"
    OWNED = "owned"
    ACTION_RECORDED = "action_recorded"
    CHECKED = "checked"
    CLOSED = "closed"
    REOPENED = "reopened"


S = FindingState
MOVES: dict[FindingState, frozenset[FindingState]] = {
    S.OPEN: frozenset({S.OWNED}),
    S.OWNED: frozenset({S.OWNED, S.ACTION_RECORDED}),
    S.ACTION_RECORDED: frozenset({S.OWNED, S.CHECKED, S.CLOSED}),
    S.CHECKED: frozenset({S.OWNED, S.CLOSED}),
    S.CLOSED: frozenset({S.REOPENED}),
    S.REOPENED: frozenset({S.OWNED}),
}


class About(StrEnum):
    """What a finding is about, besides what can be suspended (`suspension.Scope`)."""

    RECORD = "record"
    PROCESS = "process"


SUBJECTS: tuple[str, ...] = (*(scope.value for scope in Scope), *(about.value for about in About))


class FindingMoves(Refusal):
    """The finding does not stand where this act begins."""

    code = "finding_not_there"


@dataclass(frozen=True, slots=True)
class FindingRules:
    """Days until a corrective action is due, by severity; the period within which a cause recurs."""

    version: str
    due: dict[Severity, timedelta]
    cluster: timedelta


@cache
def finding_rules() -> FindingRules:
    """The numbers as shipped. Raises ValueError when a row lacks its source or its mark."""
    said = json.loads((files(__package__) / "data" / "finding_rules.json").read_bytes())
    for row in said["rows"]:
        if not row["source"] or row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    value = {row["name"]: timedelta(days=int(row["value"])) for row in said["rows"]}
    due = {severity: value[f"due_days_{severity.value}"] for severity in Severity}
    return FindingRules(said["version"], due, value["cluster_days"])


def check_finding_move(before: FindingState, after: FindingState, *, severity: Severity) -> None:
    """Refuse a move that is not on the way. A critical one is checked by one person before another one closes it."""
    skips = severity is Severity.CRITICAL and (before, after) == (S.ACTION_RECORDED, S.CLOSED)
    if after not in MOVES[before] or skips:
        raise FindingMoves(
            "A critical finding is checked by one person, and closed by another."
            if skips
            else f"This finding is {before.value.replace('_', ' ')}.",
            state=before.value,
        )


def gravest(severities: Iterable[str]) -> Severity:
    """The gravest of the occurrences of a finding."""
    found = Severity.MINOR
    for each in severities:
        found = found.at_least(Severity(each))
    return found


def suspends(subject: str, name: str, *, severity: Severity, state: FindingState) -> Ref | None:
    """What an open critical finding suspends; None where it is milder, closed, or about no such thing."""
    if severity is not Severity.CRITICAL or state is FindingState.CLOSED or subject not in set(Scope):
        return None
    return Ref(Scope(subject), name)


def overdue(due_at: datetime, state: FindingState, now: datetime) -> bool:
    """Whether its corrective action is late."""
    return state is not FindingState.CLOSED and now > due_at
