"""Readings of blood pressure become an average, or a reason why there is none (CLINICAL 1.1).

The rules
 * A rule of averaging is data (`AveragingRule`): what counts, over which days, in which sessions, how much is enough.
 * Nothing is imputed and nothing vanishes: each reading handed in is used, or left out with the first reason that
   applies.
 * The answer does not depend on the order in which readings were handed in.
 * Days are local and half-open: [midnight, next midnight), 23 or 25 hours long when clocks change. Gaps are measured
   between instants, never between wall clocks.
 * A window is seven consecutive local days, the last of them the last day before `as_of` that is over. The day of
   `as_of` itself counts as over once it holds a full morning and a full evening session (docs/decisions/
   the-home-window.md).
 * The first day that is discarded is the first day of the window that holds a reading fit to be used (A6).
 * A day is settled when all of it lies `settle_days` or more after the last change of regimen (A14).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from .domain.provenance import Cited
from .domain.readings import (
    Average,
    Flag,
    Insufficient,
    LeftOut,
    Method,
    NotUsed,
    Position,
    Reading,
    Setting,
    Status,
    WindowResult,
)
from .domain.units import Bpm, MmHg, Quantity

NOON = 12  # morning ends where the afternoon begins


class SessionBy(StrEnum):
    """What makes readings one session."""

    HALF_DAY = "half_day"  # local day, before noon or after it
    VISIT = "visit"  # the name given with the reading, else its local day


@dataclass(frozen=True, slots=True)
class AveragingRule:
    """How readings are averaged. Every field stands as a cited row in the data file (`rows`)."""

    name: str
    version: str
    methods: tuple[Method, ...]
    setting: Setting
    device_validated: bool
    statuses: tuple[Status, ...]
    excluded_positions: tuple[Position, ...]
    excluded_flags: tuple[Flag, ...]
    plausibility: str
    window_days: int | None
    settle_days: int
    discard_first_day: bool
    discard_first_reading: bool
    session_by: SessionBy
    session_readings: int
    session_readings_af: int
    gap_seconds: int
    min_days: int
    min_readings: int
    morning_and_evening: bool
    rows: tuple[Cited, ...] = ()


@dataclass(frozen=True, slots=True)
class _Window:
    """Local days as a pair of instants; `None` stands for no bound."""

    starts_at: datetime | None
    ends_at: datetime | None

    def holds(self, instant: datetime) -> bool:
        return (self.starts_at is None or instant >= self.starts_at) and (
            self.ends_at is None or instant < self.ends_at
        )


_STATUS_RANK = {
    status: rank
    for rank, status in enumerate(
        (Status.ENTERED_IN_ERROR, Status.CORRECTED, Status.AMENDED, Status.FINAL, Status.PRELIMINARY)
    )
}
_BY_POSITION = {Position.STANDING: NotUsed.STANDING, Position.LYING: NotUsed.LYING}
_BY_FLAG = {
    Flag.CLOCK_UNCERTAIN: NotUsed.CLOCK_UNCERTAIN,
    Flag.MOTION: NotUsed.MOTION,
    Flag.POST_EXERCISE: NotUsed.POST_EXERCISE,
}


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
    distinct, left = _without_duplicates(sorted(readings, key=_order))
    unfit = {id(r): _unfit(r, rule) for r in distinct}
    fit_now = [r for r in distinct if unfit[id(r)] is None and _utc(r.taken_at) <= _utc(as_of)]
    window = _window(fit_now, rule, as_of=as_of, zone=zone, needed=needed)
    settled_from = _settled_from(last_change_at, rule, zone)

    def why_not(reading: Reading) -> NotUsed | None:
        return _why_not(reading, as_of=as_of, window=window, settled_from=settled_from, unfit=unfit[id(reading)])

    reasons = [(r, why_not(r)) for r in distinct]
    fit = [r for r, why in reasons if why is None]
    left += [LeftOut(r.reading_id, why) for r, why in reasons if why is not None]
    attempted = [r for r, why in reasons if why in (None, NotUsed.COMPONENT_ABSENT, NotUsed.QUARANTINED)]
    kept, dropped = _discard(fit, attempted, rule)
    used, too_small = _in_sessions(kept, rule, needed)
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
            as_of=_midnight(last_day - timedelta(days=further), zone),
            zone=zone,
            last_change_at=last_change_at,
            atrial_fibrillation=atrial_fibrillation,
        )
        if result.average is not None and (best is None or len(result.used) > len(best.used)):
            best = result
    return best


# one reading


def _why_not(
    reading: Reading, *, as_of: datetime, window: _Window, settled_from: datetime | None, unfit: NotUsed | None
) -> NotUsed | None:
    """The first reason, in the order of `NotUsed`, for which a reading does not count."""
    instant = _utc(reading.taken_at)
    if unfit is NotUsed.VOID_STATUS:
        return unfit
    if instant > _utc(as_of):
        return NotUsed.FUTURE
    if not window.holds(instant):
        return NotUsed.OUTSIDE_WINDOW
    if settled_from is not None and instant < _utc(settled_from):
        return NotUsed.TOO_SOON_AFTER_CHANGE
    return unfit


def _unfit(reading: Reading, rule: AveragingRule) -> NotUsed | None:
    """Why a reading does not fit the rule, whenever it was taken."""
    wrong_setting = NotUsed.NOT_HOME if rule.setting is Setting.HOME else NotUsed.NOT_OFFICE
    checks: tuple[tuple[bool, NotUsed], ...] = (
        (reading.status not in rule.statuses, NotUsed.VOID_STATUS),
        (reading.quarantined is not None, NotUsed.QUARANTINED),
        (reading.systolic is None or reading.diastolic is None, NotUsed.COMPONENT_ABSENT),
        (reading.method not in rule.methods, NotUsed.NOT_UPPER_ARM_CUFF),
        (rule.device_validated and not reading.device_validated, NotUsed.DEVICE_NOT_VALIDATED),
        (reading.setting is not rule.setting, wrong_setting),
    )
    for applies, why in checks:
        if applies:
            return why
    for flag, why in _BY_FLAG.items():
        if flag in rule.excluded_flags and flag in reading.flags:
            return why
    return _BY_POSITION.get(reading.position) if reading.position in rule.excluded_positions else None


def _order(reading: Reading) -> tuple[datetime, int, str, str]:
    """One order for a set of readings, however they were handed in; of two copies the one that corrects comes first."""
    values = f"{reading.systolic}|{reading.diastolic}|{reading.pulse}|{reading.device_id}"
    return _utc(reading.taken_at), _STATUS_RANK[reading.status], reading.reading_id, values


def _without_duplicates(ordered: Iterable[Reading]) -> tuple[list[Reading], list[LeftOut]]:
    """Drop what was uploaded twice: same id; same device and instant; without a device, same instant and values.

    What was entered in error says nothing of another entry that merely shares its device and instant.
    """
    distinct: list[Reading] = []
    left: list[LeftOut] = []
    seen: set[tuple[object, ...]] = set()
    for reading in ordered:
        keys: list[tuple[object, ...]] = [("id", reading.reading_id)]
        instant = _utc(reading.taken_at)
        if reading.status is not Status.ENTERED_IN_ERROR:
            if reading.device_id:
                keys.append(("device", reading.device_id, instant))
            elif reading.systolic is not None or reading.diastolic is not None:
                keys.append(("values", instant, reading.systolic, reading.diastolic))
        if seen.isdisjoint(keys):
            distinct.append(reading)
        else:
            left.append(LeftOut(reading.reading_id, NotUsed.DUPLICATE))
        seen.update(keys)
    return distinct, left


# days and sessions


def _window(fit: Sequence[Reading], rule: AveragingRule, *, as_of: datetime, zone: ZoneInfo, needed: int) -> _Window:
    """The local days a rule looks at (see the module's rules)."""
    if rule.window_days is None:
        return _Window(None, None)
    today = as_of.astimezone(zone).date()
    morning, evening = (
        _spaced([r for r in fit if _half(r) == (today, half)], rule.gap_seconds)[0] for half in ("AM", "PM")
    )
    over = len(morning) >= needed and len(evening) >= needed
    end = today + timedelta(days=1) if over else today
    return _Window(_midnight(end - timedelta(days=rule.window_days), zone), _midnight(end, zone))


def _settled_from(last_change_at: datetime | None, rule: AveragingRule, zone: ZoneInfo) -> datetime | None:
    """The first local midnight from which whole days lie `settle_days` after the change."""
    if last_change_at is None or rule.settle_days == 0:
        return None
    local = last_change_at.astimezone(zone)
    begun = 0 if local.time() == time(0) else 1
    return _midnight(local.date() + timedelta(days=rule.settle_days + begun), zone)


def _discard(
    fit: Sequence[Reading], attempted: Sequence[Reading], rule: AveragingRule
) -> tuple[list[Reading], list[LeftOut]]:
    """Leave out the first day (A6), or the first reading of each session where others stand beside it."""
    if rule.discard_first_day and fit:
        first = min(_day(r) for r in fit)
        return _split(fit, lambda r: _day(r) != first, NotUsed.FIRST_DAY)
    if rule.discard_first_reading:
        # A first attempt that gave no number was still the first; one usable reading of a session stands alone.
        firsts = {id(session[0]) for session in _grouped(attempted, rule)}
        alone = {id(session[0]) for session in _grouped(fit, rule) if len(session) == 1}
        return _split(fit, lambda r: id(r) not in firsts or id(r) in alone, NotUsed.FIRST_READING)
    return list(fit), []


def _in_sessions(readings: Sequence[Reading], rule: AveragingRule, needed: int) -> tuple[list[Reading], list[LeftOut]]:
    """Keep sessions with enough readings far enough apart (A1, A5)."""
    used: list[Reading] = []
    left: list[LeftOut] = []
    for session in _grouped(readings, rule):
        spaced, close = _spaced(session, rule.gap_seconds)
        left += [LeftOut(r.reading_id, NotUsed.TOO_CLOSE) for r in close]
        if len(spaced) >= needed:
            used += spaced
        else:
            left += [LeftOut(r.reading_id, NotUsed.SESSION_TOO_SMALL) for r in spaced]
    return used, left


def _grouped(readings: Iterable[Reading], rule: AveragingRule) -> list[list[Reading]]:
    """Sessions, in the order of time."""
    key: Callable[[Reading], object] = _half if rule.session_by is SessionBy.HALF_DAY else _visit
    sessions: dict[object, list[Reading]] = {}
    for reading in readings:
        sessions.setdefault(key(reading), []).append(reading)
    return list(sessions.values())


def _spaced(readings: Sequence[Reading], gap_seconds: int) -> tuple[list[Reading], list[Reading]]:
    """Readings each at least `gap_seconds` after the one kept before it, and those that came too soon."""
    kept: list[Reading] = []
    close: list[Reading] = []
    for reading in readings:
        if kept and _utc(reading.taken_at) - _utc(kept[-1].taken_at) < timedelta(seconds=gap_seconds):
            close.append(reading)
        else:
            kept.append(reading)
    return kept, close


def _half(reading: Reading) -> tuple[date, str]:
    local = reading.taken_at.astimezone(ZoneInfo(reading.zone))
    return local.date(), "AM" if local.hour < NOON else "PM"


def _day(reading: Reading) -> date:
    return _half(reading)[0]


def _visit(reading: Reading) -> object:
    return reading.session or _day(reading)


# the answer


def _result(
    rule: AveragingRule, window: _Window, *, fit: Sequence[Reading], used: Sequence[Reading], left: Sequence[LeftOut]
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
    halves = {_half(r)[1] for r in used}
    lacks: tuple[tuple[bool, Insufficient], ...] = (
        (not fit, Insufficient.NO_READINGS),
        (len(used) < rule.min_readings, Insufficient.TOO_FEW_READINGS),
        (len({_day(r) for r in used}) < rule.min_days, Insufficient.TOO_FEW_DAYS),
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


def _split(
    readings: Sequence[Reading], keeps: Callable[[Reading], bool], why: NotUsed
) -> tuple[list[Reading], list[LeftOut]]:
    kept = [r for r in readings if keeps(r)]
    return kept, [LeftOut(r.reading_id, why) for r in readings if not keeps(r)]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant a local day begins, in UTC, so that later arithmetic is on instants."""
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _aware(*instants: datetime) -> None:
    if any(i.tzinfo is None or i.utcoffset() is None for i in instants):
        raise ValueError("averaging needs instants with an offset")
