"""The average of a window, and the window before it (see the package's rules)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from ..domain.readings import (
    Average,
    Insufficient,
    LeftOut,
    NotUsed,
    Reading,
    WindowResult,
)
from ..domain.units import Bpm, MmHg, Quantity
from .fit import in_order, unfit, utc, without_duplicates
from .rule import AveragingRule
from .sessions import Window, discard, half_day, in_sessions, local_day, midnight, settled_from, window_of


def average(
    readings: Sequence[Reading],
    rule: AveragingRule,
    *,
    as_of: datetime,
    zone: ZoneInfo,
    last_change_at: datetime | None = None,
    atrial_fibrillation: bool = False,
) -> WindowResult:
    """Average `readings` under `rule` as it stood at `as_of`.

    `zone` bounds the local days of the window; morning, evening and day of a reading are those of the zone the person
    lived in (`Reading.zone`). Means are in mmHg and unrounded. Naive datetimes are a bug of the caller (`ValueError`).
    """
    _aware(as_of, *(r.taken_at for r in readings), *([last_change_at] if last_change_at else []))
    needed = rule.session_readings_af if atrial_fibrillation else rule.session_readings
    distinct, left = without_duplicates(sorted(readings, key=in_order))
    lacks = {id(r): unfit(r, rule) for r in distinct}
    fit_now = [r for r in distinct if lacks[id(r)] is None and utc(r.taken_at) <= utc(as_of)]
    window = window_of(fit_now, rule, as_of=as_of, zone=zone, needed=needed)
    settled = settled_from(last_change_at, rule, zone)

    def why_not(reading: Reading) -> NotUsed | None:
        return _why_not(reading, as_of=as_of, window=window, settled=settled, lack=lacks[id(reading)])

    reasons = [(r, why_not(r)) for r in distinct]
    fit = [r for r, why in reasons if why is None]
    left += [LeftOut(r.reading_id, why) for r, why in reasons if why is not None]
    attempted = [r for r, why in reasons if why in (None, NotUsed.COMPONENT_ABSENT, NotUsed.QUARANTINED)]
    kept, dropped = discard(fit, attempted, rule)
    used, too_small = in_sessions(kept, rule, needed)
    return _result(rule, window, fit=fit, used=used, left=[*left, *dropped, *too_small])


def previous_window(
    readings: Sequence[Reading],
    rule: AveragingRule,
    *,
    current: WindowResult,
    zone: ZoneInfo,
    apart_days: int,
    search_days: int,
    last_change_at: datetime | None = None,
    atrial_fibrillation: bool = False,
) -> WindowResult | None:
    """The window that ends at least `apart_days` before `current` does, and does not overlap it (DESIGN 8).

    People measure "the first week of a month", 28 to 31 days apart, so windows are tried day by day, `search_days`
    further back. The one with most readings is taken, the latest of equals; `None` where none has an average.
    """
    if current.ends_at is None or rule.window_days is None:
        return None
    back = max(apart_days, rule.window_days)
    last_day = current.ends_at.astimezone(zone).date() - timedelta(days=back)
    best: WindowResult | None = None
    for further in range(search_days + 1):
        result = average(
            readings,
            rule,
            as_of=midnight(last_day - timedelta(days=further), zone),
            zone=zone,
            last_change_at=last_change_at,
            atrial_fibrillation=atrial_fibrillation,
        )
        if result.average is not None and (best is None or len(result.used) > len(best.used)):
            best = result
    return best


def _why_not(
    reading: Reading, *, as_of: datetime, window: Window, settled: datetime | None, lack: NotUsed | None
) -> NotUsed | None:
    """The first reason, in the order of `NotUsed`, for which a reading does not count."""
    instant = utc(reading.taken_at)
    if lack is NotUsed.VOID_STATUS:
        return lack
    if instant > utc(as_of):
        return NotUsed.FUTURE
    if not window.holds(instant):
        return NotUsed.OUTSIDE_WINDOW
    if settled is not None and instant < utc(settled):
        return NotUsed.TOO_SOON_AFTER_CHANGE
    return lack


def _result(
    rule: AveragingRule, window: Window, *, fit: Sequence[Reading], used: Sequence[Reading], left: Sequence[LeftOut]
) -> WindowResult:
    reason = _insufficient(rule, fit, used)
    return WindowResult(
        rule=rule.name,
        rule_version=rule.version,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        average=None if reason else _mean(used),
        reason=reason,
        used=tuple(r.reading_id for r in used),
        not_used=tuple(sorted(left, key=lambda one: (one.reading_id, one.why))),
        pulse=_mean_pulse(used),
    )


def _insufficient(rule: AveragingRule, fit: Sequence[Reading], used: Sequence[Reading]) -> Insufficient | None:
    """Why what is left is not enough, the most basic lack first."""
    halves = {half_day(r)[1] for r in used}
    lacks: tuple[tuple[bool, Insufficient], ...] = (
        (not fit, Insufficient.NO_READINGS),
        (len(used) < rule.min_readings, Insufficient.TOO_FEW_READINGS),
        (len({local_day(r) for r in used}) < rule.min_days, Insufficient.TOO_FEW_DAYS),
        (rule.morning_and_evening and "AM" not in halves, Insufficient.NO_MORNING),
        (rule.morning_and_evening and "PM" not in halves, Insufficient.NO_EVENING),
    )
    return next((why for lacking, why in lacks if lacking), None)


def _mean(used: Sequence[Reading]) -> Average:
    return Average(
        systolic=MmHg(_mean_of([r.systolic for r in used])),
        diastolic=MmHg(_mean_of([r.diastolic for r in used])),
    )


def _mean_pulse(used: Sequence[Reading]) -> Bpm | None:
    return Bpm(_mean_of([r.pulse for r in used])) if any(r.pulse for r in used) else None


def _mean_of(quantities: Sequence[Quantity | None]) -> Decimal:
    values = [q.value for q in quantities if q is not None]
    return sum(values, Decimal(0)) / len(values)


def _aware(*instants: datetime) -> None:
    if any(i.tzinfo is None or i.utcoffset() is None for i in instants):
        raise ValueError("averaging needs instants with an offset")
