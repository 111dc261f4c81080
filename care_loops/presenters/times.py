"""Instants as people of the clinic read them: in the patient's own zone, with how long ago or ahead.

Rules
 * The zone is the patient's, and it is said; an instant without an offset is a bug and raises.
 * "Now" is handed in.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def local(at: datetime, zone: str) -> datetime:
    """The same instant on the patient's wall clock."""
    if at.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return at.astimezone(ZoneInfo(zone))


def place(zone: str) -> str:
    """The city of a zone: `Europe/Berlin` is `Berlin time`."""
    return f"{zone.rsplit('/', 1)[-1].replace('_', ' ')} time"


def day(value: date) -> str:
    """A date without doubt about its order: 22 Nov 2026."""
    return f"{value.day} {value:%b %Y}"


def clock(at: datetime, zone: str) -> str:
    """Date and time on the patient's wall clock with its zone: `22 Nov 2026, 14:05 CET`, or `UTC+03` at the end."""
    moment = local(at, zone)
    letters = moment.tzname() or ""
    return f"{day(moment.date())}, {moment:%H:%M} {letters if letters.isalpha() else f'UTC{letters}'}"


def ago(at: datetime, *, now: datetime) -> str:
    """How long ago or ahead: `12 days ago`, `in 3 hours`, `just now`."""
    gap = now - at
    if abs(gap) < _MINUTE:
        return "just now"
    amount = _amount(abs(gap))
    return f"{amount} ago" if gap > timedelta(0) else f"in {amount}"


def due(at: datetime, *, now: datetime) -> str:
    """When something is due: `due in 3 days`, `overdue by 2 hours`."""
    if abs(now - at) < _MINUTE:
        return "due now"
    return f"overdue by {_amount(now - at)}" if now > at else f"due in {_amount(at - now)}"


def escalation(at: datetime, *, now: datetime) -> str:
    """When an alert nobody has acknowledged reaches the next person."""
    return f"goes to the next person in {_amount(at - now)}" if at > now else f"unanswered {_amount(now - at)} too long"


def unanswered(since: datetime, *, now: datetime) -> str:
    """An alert that went to everybody on its list, and nobody has acknowledged."""
    return f"unanswered for {_amount(now - since)}, everybody has been paged"


def _amount(gap: timedelta) -> str:
    if gap < _MINUTE:
        return "less than a minute"
    for unit, name, up_to in ((_MINUTE, "minute", _HOUR * 2), (_HOUR, "hour", _DAY * 2), (_DAY, "day", None)):
        if up_to is None or gap < up_to:
            return plural(gap // unit, name)
    raise AssertionError("the last unit has no end")


def plural(count: int, noun: str) -> str:
    """`1 day`, `2 days`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
