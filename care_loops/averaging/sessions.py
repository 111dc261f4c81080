"""Local days, sessions and the window: when a reading was taken, in the life of the person.

Rules
 * Days are those of the zone the person lived in; the window is bounded in the zone handed in.
 * Gaps are measured between instants: two wall clocks of one zone do not tell how far apart they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ..domain.readings import (
    LeftOut,
    NotUsed,
    Reading,
)
from .fit import utc
from .rule import AveragingRule, SessionBy

NOON = 12  # morning ends where the afternoon begins


@dataclass(frozen=True, slots=True)
class Window:
    """Local days as a pair of instants; `None` stands for no bound."""

    starts_at: datetime | None
    ends_at: datetime | None

    def holds(self, instant: datetime) -> bool:
        """Whether the instant lies in it: its first moment does, its end does not."""
        begun = self.starts_at is None or instant >= self.starts_at
        return begun and (self.ends_at is None or instant < self.ends_at)


def window_of(fit: Sequence[Reading], rule: AveragingRule, *, as_of: datetime, zone: ZoneInfo, needed: int) -> Window:
    """The local days a rule looks at (see the module's rules)."""
    if rule.window_days is None:
        return Window(None, None)
    today = as_of.astimezone(zone).date()
    morning, evening = (
        _spaced([r for r in fit if half_day(r) == (today, half)], rule.gap_seconds)[0] for half in ("AM", "PM")
    )
    over = len(morning) >= needed and len(evening) >= needed
    end = today + timedelta(days=1) if over else today
    return Window(midnight(end - timedelta(days=rule.window_days), zone), midnight(end, zone))


def settled_from(last_change_at: datetime | None, rule: AveragingRule, zone: ZoneInfo) -> datetime | None:
    """The first local midnight from which whole days lie `settle_days` after the change."""
    if last_change_at is None or rule.settle_days == 0:
        return None
    local = last_change_at.astimezone(zone)
    begun = 0 if local.time() == time(0) else 1
    return midnight(local.date() + timedelta(days=rule.settle_days + begun), zone)


def discard(
    fit: Sequence[Reading], attempted: Sequence[Reading], rule: AveragingRule
) -> tuple[list[Reading], list[LeftOut]]:
    """Leave out the first day (A6), or the first reading of each session where others stand beside it."""
    if rule.discard_first_day and fit:
        first = min(local_day(r) for r in fit)
        return _split(fit, lambda r: local_day(r) != first, NotUsed.FIRST_DAY)
    if rule.discard_first_reading:
        # A first attempt that gave no number was still the first; one usable reading of a session stands alone.
        firsts = {id(session[0]) for session in _grouped(attempted, rule)}
        alone = {id(session[0]) for session in _grouped(fit, rule) if len(session) == 1}
        return _split(fit, lambda r: id(r) not in firsts or id(r) in alone, NotUsed.FIRST_READING)
    return list(fit), []


def in_sessions(readings: Sequence[Reading], rule: AveragingRule, needed: int) -> tuple[list[Reading], list[LeftOut]]:
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
    key: Callable[[Reading], object] = half_day if rule.session_by is SessionBy.HALF_DAY else _visit
    sessions: dict[object, list[Reading]] = {}
    for reading in readings:
        sessions.setdefault(key(reading), []).append(reading)
    return list(sessions.values())


def _spaced(readings: Sequence[Reading], gap_seconds: int) -> tuple[list[Reading], list[Reading]]:
    """Readings each at least `gap_seconds` after the one kept before it, and those that came too soon."""
    kept: list[Reading] = []
    close: list[Reading] = []
    for reading in readings:
        if kept and utc(reading.taken_at) - utc(kept[-1].taken_at) < timedelta(seconds=gap_seconds):
            close.append(reading)
        else:
            kept.append(reading)
    return kept, close


def half_day(reading: Reading) -> tuple[date, str]:
    """The local day of a reading, and "AM" before noon or "PM" from noon on."""
    local = reading.taken_at.astimezone(ZoneInfo(reading.zone))
    return local.date(), "AM" if local.hour < NOON else "PM"


def local_day(reading: Reading) -> date:
    """The local day of a reading."""
    return half_day(reading)[0]


def _visit(reading: Reading) -> object:
    return reading.session or local_day(reading)


def _split(
    readings: Sequence[Reading], keeps: Callable[[Reading], bool], why: NotUsed
) -> tuple[list[Reading], list[LeftOut]]:
    kept = [r for r in readings if keeps(r)]
    return kept, [LeftOut(r.reading_id, why) for r in readings if not keeps(r)]


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant a local day begins, in UTC, so that later arithmetic is on instants."""
    return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)
