"""From the patient's record to the drawing of the trend."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from ..charts import DayMean, Mark, Point, PointKind, Trend
from ..domain.units import MmHg
from ..selectors.summary import ReadingSeen, Summary
from . import times
from .summary import change_words, daily_means

_SECONDS_A_DAY = 24 * 60 * 60


def trend_of(found: Summary) -> Trend:
    """Everything the drawing needs, on the patient's own calendar."""
    zone = ZoneInfo(found.zone)
    means = daily_means(found.readings)
    first, last = found.since.astimezone(zone).date(), found.until.astimezone(zone).date()
    return Trend(
        first=first,
        last=last,
        points=tuple(_point(r) for r in found.readings if first <= r.local_day <= last),
        means=tuple(
            DayMean(day, MmHg(systolic), MmHg(diastolic))
            for day, (systolic, diastolic, _) in sorted(means.items())
            if first <= day <= last
        ),
        marks=tuple(
            Mark(change.effective_at.astimezone(zone).date(), change_words(change, found))
            for change in found.changes
            if change.effective_at >= found.since
        ),
        systolic_below=MmHg(found.target.systolic_below) if found.target else None,
        diastolic_below=MmHg(found.target.diastolic_below) if found.target else None,
        title=f"Home blood pressure from {times.day(first)} to {times.day(last)}: "
        f"{times.plural(len(means), 'day')} with readings",
    )


def _point(reading: ReadingSeen) -> Point:
    local = reading.taken_at.astimezone(ZoneInfo(reading.zone))
    return Point(
        day=local.date(),
        part=_part_of_day(local),
        systolic=reading.systolic,
        diastolic=reading.diastolic,
        kind=_kind(reading),
    )


def _part_of_day(local: datetime) -> float:
    return (local.hour * 3600 + local.minute * 60 + local.second) / _SECONDS_A_DAY


def _kind(reading: ReadingSeen) -> PointKind:
    if reading.held_back:
        return PointKind.HELD_BACK
    return PointKind.COUNTED if reading.counts else PointKind.CONTEXT
