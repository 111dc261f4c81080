"""Who is on call, and hours that nobody covers: pure rules over shifts.

Rules (CLINICAL 1.3, DBT-03)
 * A shift and a stand-in are half-open: [starts, ends). Whoever stands in is on call instead, for that time only.
 * Several shifts of one rung at one time are several people, and each is reached.
 * A pathway is covered over a time when at no moment of it the rung is empty; what is empty is named, hour by hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Rung(StrEnum):
    """Whom an alert reaches that nobody has acknowledged, beside the clinician responsible for the patient."""

    ON_CALL = "on_call_clinician"
    SUPERVISING = "supervising_clinician"


@dataclass(frozen=True, slots=True)
class StandIn:
    """Somebody else for a part of a shift."""

    person: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Shift:
    """One person on one rung, from `starts` until before `ends`."""

    rung: Rung
    person: str
    starts: datetime
    ends: datetime
    stand_ins: tuple[StandIn, ...] = ()

    def person_at(self, at: datetime) -> str | None:
        """Who of this shift is on call at `at`; None outside it. Of stand-ins that overlap the newest holds."""
        if not self.starts <= at < self.ends:
            return None
        return next((one.person for one in reversed(self.stand_ins) if one.starts <= at < one.ends), self.person)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a rung is empty."""

    rung: Rung
    starts: datetime
    ends: datetime


def on_call(shifts: Iterable[Shift], rung: Rung, at: datetime) -> tuple[str, ...]:
    """Everybody on that rung at `at`, each once, in order of their shifts."""
    found = (shift.person_at(at) for shift in shifts if shift.rung is rung)
    return tuple(dict.fromkeys(person for person in found if person is not None))


def gaps(shifts: Iterable[Shift], rung: Rung, *, starts: datetime, ends: datetime) -> tuple[Gap, ...]:
    """The times within [starts, ends) at which nobody is on that rung, earliest first."""
    covered = sorted((shift.starts, shift.ends) for shift in shifts if shift.rung is rung)
    found, reached = [], starts
    for begins, over in covered:
        if begins >= ends:
            break
        if begins > reached:
            found.append(Gap(rung, reached, begins))
        reached = max(reached, over)
    if reached < ends:
        found.append(Gap(rung, reached, ends))
    return tuple(found)
