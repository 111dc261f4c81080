"""Doses taken of doses due, from the intake log (CLINICAL 1.9 row 4).

Rules
 * A dose counts as due once its time is past; one still to come is neither taken nor missed.
 * A dose counts as taken when the log says so, at any time; what the log does not say is not taken.
 * One dose is counted once, however often it was reported. An intake of nothing that was due is not a dose of the plan.
 * Nothing due, or nothing logged at all: adherence is unknown, not perfect and not zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from .domain.record import Adherence


@dataclass(frozen=True, slots=True)
class DueDose:
    """One dose of the plan: which drug (RxNorm IN), when."""

    dose_id: str
    ingredient: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Intake:
    """What the log says of one dose. `taken` false: the patient said it was left out."""

    dose_id: str
    taken: bool
    logged_at: datetime


def adherence(
    due: Iterable[DueDose], log: Iterable[Intake], *, starts_at: datetime, ends_at: datetime
) -> Adherence | None:
    """Adherence over [starts_at, ends_at), by what was logged before `ends_at`; `None` when it is unknown.

    Of two entries for one dose the later holds; of two at one instant the one that says it was not taken.
    """
    counted = {dose.dose_id for dose in due if starts_at <= dose.due_at < ends_at}
    entries = sorted(
        (entry for entry in log if entry.dose_id in counted and entry.logged_at < ends_at),
        key=lambda entry: (entry.logged_at, not entry.taken),
    )
    if not counted or not entries:
        return None
    last = {entry.dose_id: entry.taken for entry in entries}
    return Adherence(taken=sum(last.values()), due=len(counted))
