"""Weeks of home readings, and their average by the home rule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from care_loops.averaging import average
from care_loops.domain.readings import NotUsed, Reading, WindowResult
from care_loops.pathways.hypertension.tables_readings import averaging_rule
from tests.care_loops.clinic import BERLIN, reading

HOME = averaging_rule("home_7_day")
FIRST_DAY = date(2026, 3, 1)
AS_OF = datetime(2026, 3, 8, tzinfo=BERLIN)


def at(day: int, hour: int, minute: int = 0, second: int = 0, zone: ZoneInfo = BERLIN) -> datetime:
    """Local time on day 1, 2, ... of the week."""
    return datetime.combine(FIRST_DAY + timedelta(days=day - 1), time(hour, minute, second), tzinfo=zone)


def day_of(day: int, *, systolic: int = 130, diastolic: int = 80) -> list[Reading]:
    """Two readings in the morning and two in the evening."""
    times = ((7, 0), (7, 1), (20, 0), (20, 1))
    return [reading(systolic, diastolic, at=at(day, h, m)) for h, m in times]


def week() -> list[Reading]:
    return [r for day in range(1, 8) for r in day_of(day)]


def home(readings: Sequence[Reading], **more: object) -> WindowResult:
    return average(readings, HOME, as_of=more.pop("as_of", AS_OF), zone=BERLIN, **more)


def why(result: WindowResult, one: Reading) -> NotUsed:
    return {left.reading_id: left.why for left in result.not_used}[one.reading_id]
