"""Incidents: their class and the authority's clock, from `data/incident_clocks.json`. Pure.

Rules (MDR Art. 87; 21 CFR 803.10; AI Act Art. 73; GDPR Art. 33; REGULATORY 2.3)
 * The clock starts when somebody here became aware. Each authority has its own deadline; the earliest is shown first.
 * Work days are Monday to Friday in UTC; public holidays are not known here, so a deadline is never later than meant.
 * open -> assessed -> reported -> closed. Not reporting is a class of its own, and somebody answers for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files

from .domain import Refusal

MARKS = frozenset({"checked", "from memory", "proposal"})
_WEEKEND = 5


class IncidentClass(StrEnum):
    """What an incident is to an authority."""

    SERIOUS = "serious_incident"
    DEATH = "death_or_unanticipated_deterioration"
    THREAT = "public_health_threat"
    DATA_BREACH = "personal_data_breach"
    NO_REPORT = "no_report_needed"


class IncidentState(StrEnum):
    """Where it stands."""

    OPEN = "open"
    ASSESSED = "assessed"
    REPORTED = "reported"
    CLOSED = "closed"


I = IncidentState  # noqa: E741
INCIDENT_MOVES: dict[IncidentState, frozenset[IncidentState]] = {
    I.OPEN: frozenset({I.ASSESSED}),
    I.ASSESSED: frozenset({I.ASSESSED, I.REPORTED, I.CLOSED}),
    I.REPORTED: frozenset({I.REPORTED, I.CLOSED}),
    I.CLOSED: frozenset(),
}


class IncidentMoves(Refusal):
    """The incident does not stand where this act begins."""

    code = "incident_not_there"


@dataclass(frozen=True, slots=True)
class Clock:
    """One authority's deadline for one class, as its act says it."""

    of: IncidentClass
    authority: str
    act: str
    days: int
    work_days: bool
    mark: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a report is due, to whom, by which act."""

    due_at: datetime
    clock: Clock


@cache
def clocks() -> tuple[Clock, ...]:
    """Every row. Raises ValueError where a class has no clock, or a row no act or mark."""
    said = json.loads((files(__package__) / "data" / "incident_clocks.json").read_bytes())
    for row in said["rows"]:
        if not row["act"] or row["mark"] not in MARKS or int(row["days"]) < 1:
            raise ValueError(f"{row}: a row needs an act, a mark and days")
    found = tuple(
        Clock(IncidentClass(r["class"]), r["authority"], r["act"], int(r["days"]), r["work_days"], r["mark"])
        for r in said["rows"]
    )
    if {clock.of for clock in found} != set(IncidentClass):
        raise ValueError("every class of incident has a clock")
    return found


def deadlines(of: IncidentClass, *, aware_at: datetime) -> tuple[Deadline, ...]:
    """What is due for this class, the earliest first."""
    found = [Deadline(_due(clock, aware_at), clock) for clock in clocks() if clock.of is of]
    return tuple(sorted(found, key=lambda deadline: (deadline.due_at, deadline.clock.authority)))


def _due(clock: Clock, aware_at: datetime) -> datetime:
    if not clock.work_days:
        return aware_at + timedelta(days=clock.days)
    at, left = aware_at, clock.days
    while left:
        at += timedelta(days=1)
        left -= at.weekday() < _WEEKEND
    return at


def check_incident_move(before: IncidentState, after: IncidentState, *, of: IncidentClass) -> None:
    """Refuse a move that is not on the way: what has to be reported is not closed before it was."""
    unreported = (before, after) == (I.ASSESSED, I.CLOSED) and of is not IncidentClass.NO_REPORT
    if after not in INCIDENT_MOVES[before] or unreported:
        raise IncidentMoves(
            "An incident of this class is reported before it is closed."
            if unreported
            else f"This incident is {before.value}.",
            state=before.value,
        )
