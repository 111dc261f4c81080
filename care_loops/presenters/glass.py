"""Openings by break-glass as pages and tools show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any
from uuid import UUID

from ..break_glass import EndedHow, ReviewOutcome, glass_rules, over, review_due
from ..models import BreakGlass
from . import vocabulary


@dataclass(frozen=True, slots=True)
class OpeningShown:
    """One opening. `name` is shown to who may read the record now, else its number."""

    id: UUID
    patient_id: UUID
    name: str
    who: str
    why: str
    text: str
    opened_at: datetime
    until: datetime
    is_open: bool
    minutes_left: int
    ended: str
    review: str
    reviewed: bool
    overdue: bool
    review_by: datetime


def opening_shown(row: BreakGlass, *, now: datetime, named: bool = False) -> OpeningShown:
    """One opening in words."""
    ended, rules = over(until=row.until, ended_at=row.ended_at, now=now), glass_rules()
    found = getattr(row, "review", None)
    how = EndedHow(row.ended_how) if row.ended_how else EndedHow.TIME
    due = review_due(row.until, rules)
    return OpeningShown(
        id=row.pk,
        patient_id=row.patient_id,
        name=row.patient.shown_name if named and not ended else str(row.patient_id),
        who=row.opened_by.printed_name,
        why=dict(rules.reasons).get(row.reason_code, row.reason_code),
        text=row.text,
        opened_at=row.opened_at,
        until=row.until,
        is_open=not ended,
        minutes_left=max(0, ceil((row.until - now).total_seconds() / 60)) if not ended else 0,
        ended=vocabulary.GLASS_ENDED[how] if ended else "",
        review=vocabulary.GLASS_REVIEWS[ReviewOutcome(found.outcome)] if found else "",
        reviewed=found is not None,
        overdue=found is None and now >= due,
        review_by=due,
    )


def opening_out(row: BreakGlass, *, now: datetime) -> dict[str, Any]:
    """For a tool."""
    shown = opening_shown(row, now=now)
    return {
        "id": str(shown.id),
        "patient": str(shown.patient_id),
        "reason_code": row.reason_code,
        "opened_at": shown.opened_at.isoformat(),
        "until": shown.until.isoformat(),
        "open": shown.is_open,
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        "reviewed": shown.reviewed,
    }
