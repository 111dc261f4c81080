"""The rota drawn: seven days as strips, one for each rung, with the hours that nobody covers; the facts beside it.

Rules
 * Presentation attributes only; an empty time is hatched and outlined, and named in the list below: colour never alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.sax.saxutils import escape

from ..cover import Gap, Rung, Shift

WORDS = {Rung.ON_CALL: "On call", Rung.SUPERVISING: "Supervising"}
WHY_NOT = {
    "nobody_on_call": "Nobody is on call for some of the next 24 hours.",
    "channel_not_tested": "No way of reaching people was tested and worked in the last week.",
}
INK, FAINT, RULE, SHIFT, OTHER, EMPTY = "#1d2a35", "#5a6872", "#dfe5e9", "#0b5c7a", "#6b4d9c", "#a11b12"
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'
WIDTH, LEFT, TOP, STRIP, SPACE, DAYS = 720, 92, 26, 26, 16, 7


@dataclass(frozen=True, slots=True)
class Week:
    """What is drawn: from `starts` on, for seven days, at `now`."""

    starts: datetime
    now: datetime
    shifts: Sequence[Shift]
    gaps: Sequence[Gap]
    names: Mapping[str, str]

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return self.starts + timedelta(days=DAYS)


def week_svg(week: Week) -> str:
    """The week as SVG. Times are UTC."""
    height = TOP + len(Rung) * (STRIP + SPACE) + 18
    empty = sum(((gap.ends - gap.starts) for gap in week.gaps), timedelta())
    hours = round(empty.total_seconds() / 3600)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" class="trend"'
            f' aria-label="Seven days of cover from {week.starts:%d %b};'
            f' {hours} hours are uncovered">'
        ),
        (
            '<defs><pattern id="nobody" width="6" height="6" patternUnits="userSpaceOnUse">'
            f'<path d="M0 6 L6 0" stroke="{EMPTY}" stroke-width="1.5"/></pattern></defs>'
        ),
    ]
    for day in range(DAYS + 1):
        x = _x(week, week.starts + timedelta(days=day))
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 18}" stroke="{RULE}"/>')
        if day < DAYS:
            parts.append(_text(x + 3, TOP - 10, f"{week.starts + timedelta(days=day):%a %d}", fill=FAINT))
    for number, rung in enumerate(Rung):
        parts += _strip(week, rung, TOP + number * (STRIP + SPACE))
    now = _x(week, week.now)
    if LEFT <= now <= WIDTH:
        parts.append(f'<line x1="{now:.1f}" y1="{TOP - 6}" x2="{now:.1f}" y2="{height - 18}" stroke="{INK}"/>')
        parts.append(_text(now, height - 4, "now", anchor="middle"))
    return "".join([*parts, "</svg>"])


def _strip(week: Week, rung: Rung, y: float) -> list[str]:
    parts = [_text(0, y + STRIP / 2 + 4, WORDS[rung], weight="600")]
    empty = (gap for gap in week.gaps if gap.rung is rung)
    parts += [_box(week, gap.starts, gap.ends, y, fill="url(#nobody)", stroke=EMPTY) for gap in empty]
    for shift in week.shifts:
        if shift.rung is rung:
            parts.append(_box(week, shift.starts, shift.ends, y, fill=SHIFT, stroke="#fff"))
            parts.append(_name(week, shift.person, shift.starts, shift.ends, y))
            for one in shift.stand_ins:
                parts.append(_box(week, one.starts, one.ends, y + 3, fill=OTHER, stroke="#fff", less=6))
                parts.append(_name(week, one.person, one.starts, one.ends, y))
    return parts


def _box(week: Week, starts: datetime, ends: datetime, y: float, *, fill: str, stroke: str, less: float = 0) -> str:
    left, right = _x(week, max(starts, week.starts)), _x(week, min(ends, week.ends))
    return (
        f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" height="{STRIP - less}" fill="{fill}"'
        f' stroke="{stroke}"/>'
    )


def _name(week: Week, person: str, starts: datetime, ends: datetime, y: float) -> str:
    left, right = _x(week, max(starts, week.starts)), _x(week, min(ends, week.ends))
    name, room = week.names.get(person, "?"), int((right - left - 8) / 7)
    if room < 3:
        return ""
    return _text(left + 4, y + STRIP / 2 + 4, name if len(name) <= room else f"{name[: room - 1]}…", fill="#fff")


def _x(week: Week, at: datetime) -> float:
    return LEFT + (WIDTH - LEFT - 1) * ((at - week.starts) / timedelta(days=DAYS))


def _text(x: float, y: float, said: str, *, fill: str = INK, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {_FONT} fill="{fill}" font-weight="{weight}" text-anchor="{anchor}">'
        f"{escape(said)}</text>"
    )
