"""When patient and clinician next meet: stable patients later, changing patients sooner (HTN-07).

Rules
 * The interval follows from the facts and the table; the table is data. A clinician's own date wins over it.
 * Each further stable window lengthens the interval up to a cap. Anything volatile shortens it at once, to a floor.
 * Danger that nobody has closed asks for the soonest visit.
 * Without a window there is no stability: the first interval stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from .domain.provenance import Cited
from .domain.units import MmHg


@dataclass(frozen=True, slots=True)
class VisitRule:
    """The table of intervals, in days; `swing` in mmHg between consecutive window means.

    `remind_days`, `measure_days`: how long before a visit the patient is reminded of it, and of measuring for it.
    """

    version: str
    first_days: int
    shortest_days: int
    longest_days: int
    volatile_days: int
    longer_by_days: int
    remind_days: int
    measure_days: int
    swing: MmHg
    rows: tuple[Cited, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """One averaged window: its mean systolic, and whether it was in target."""

    systolic: MmHg
    in_target: bool


@dataclass(frozen=True, slots=True)
class StabilityFacts:
    """What stability is judged by. `windows` oldest first; the rest over the time since the last visit."""

    last_visit: date
    windows: tuple[Window, ...]
    regimen_changes: int
    danger_findings: int
    open_danger: bool


@dataclass(frozen=True, slots=True)
class VisitDue:
    """When, and the name of the reason: override, open_danger, volatile, stable, first."""

    due_on: date
    rule: str


def next_visit_due(facts: StabilityFacts, rule: VisitRule, *, override: date | None = None) -> VisitDue:
    """When the next visit is due. `override` is the date a clinician set; it holds whatever the rule says."""
    if override is not None:
        return VisitDue(override, "override")
    if facts.open_danger:
        return _after(facts, rule.shortest_days, "open_danger")
    if facts.danger_findings or facts.regimen_changes or _swings(facts, rule):
        return _after(facts, rule.volatile_days, "volatile")
    stable = stable_windows(facts, rule)
    if not stable:
        return _after(facts, rule.first_days, "first")
    return _after(facts, min(rule.longest_days, rule.first_days + stable * rule.longer_by_days), "stable")


def stable_windows(facts: StabilityFacts, rule: VisitRule) -> int:
    """How many of the latest windows in a row were in target and close to the one before."""
    count = 0
    later: Window | None = None
    for window in reversed(facts.windows):
        if not window.in_target or (later is not None and _apart(window, later) > rule.swing.value):
            break
        count += 1
        later = window
    return count


def _swings(facts: StabilityFacts, rule: VisitRule) -> bool:
    """Whether the last two means lie further apart than the swing."""
    return len(facts.windows) > 1 and _apart(facts.windows[-2], facts.windows[-1]) > rule.swing.value


def _apart(one: Window, other: Window) -> Decimal:
    return abs(one.systolic.value - other.systolic.value)


def _after(facts: StabilityFacts, days: int, rule: str) -> VisitDue:
    return VisitDue(facts.last_visit + timedelta(days=days), rule)
