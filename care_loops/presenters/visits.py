"""Visits and reminders in words: for the patient page, and for the patient's phone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from ..models import Reminder, Visit, VisitPlan
from . import times, words

FACTORS = ("diet", "activity", "sleep", "stress")
"""What a visit is for: factors that can be changed (HTN-07)."""


def plan_shown(plan: VisitPlan | None, *, overdue: bool) -> str:
    """The next visit on the patient page."""
    if plan is None:
        return "No visit planned"
    return times.day(plan.due_on) + (" (overdue)" if overdue else "")


def plan_why(plan: VisitPlan | None) -> str:
    """Why on that day."""
    if plan is None:
        return ""
    return f"set by a clinician: {plan.reason}" if plan.overridden_by_id else words.opened(plan.rule)


def held_shown(visit: Visit | None) -> tuple[str, ...]:
    """The last visit that was held, and what was talked of; a factor that was not talked of is left out."""
    if visit is None:
        return ()
    said = [f"Last visit held {times.day(visit.on_day)}"]
    said += [f"{name.capitalize()}: {getattr(visit, name)}" for name in FACTORS if getattr(visit, name)]
    return (*said, *((f"Note: {visit.note}",) if visit.note else ()))


def recorded(visit: Visit) -> dict[str, Any]:
    """What became of a visit, for tools."""
    return {
        "id": str(visit.pk),
        "outcome": visit.outcome,
        "on_day": visit.on_day.isoformat(),
        "recorded_at": visit.recorded_at.isoformat(),
    }


def next_visit(plan: VisitPlan | None, *, overdue: bool) -> dict[str, Any] | None:
    """The next visit as the patient reads it."""
    if plan is None:
        return None
    day = times.day(plan.due_on)
    said = f"Your visit was planned for {day}. Ask your care team for a new day." if overdue else f"Next visit: {day}."
    return {"due_on": plan.due_on.isoformat(), "in_words": said}


def reminders(rows: Iterable[Reminder]) -> list[dict[str, Any]]:
    """What the patient was reminded of and still has to do."""
    return [
        {
            "kind": row.kind,
            "due_on": row.due_on.isoformat(),
            "in_words": _reminder(row, row.due_on),
            "sent_at": row.sent_at.isoformat(),
        }
        for row in rows
    ]


def _reminder(row: Reminder, day: date) -> str:
    if row.kind == Reminder.VISIT:
        return f"You have a visit on {times.day(day)}."
    twice = "twice every morning and twice every evening, sitting, for seven days."
    if row.about.startswith("plan:"):
        return f"A visit is near. From {times.day(day)} on measure {twice}"
    return f"There were too few readings in the last week. Measure {twice}"
