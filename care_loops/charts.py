"""Draws the trend of home blood pressure as SVG: the same drawing on a page and in a document.

Rules
 * A day without readings is a gap in the line and a mark in the strip below, never a zero and never bridged.
 * A reading held back is drawn hollow; one outside the frame sits on its edge and keeps its shape.
 * Context (cuffless, clinic) is drawn small and never joins the daily line.
 * Colour never carries meaning alone: shapes differ, and the facts stand beside the drawing in a table.
 * Presentation attributes only: no style element, no script, nothing loaded (the content policy is strict).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from xml.sax.saxutils import escape

from .domain.units import MmHg

WIDTH, HEIGHT, LEFT, RIGHT = 960, 494, 46, 18
PLOT = WIDTH - LEFT - RIGHT
INK, FAINT, RULE = "#1d2a35", "#5a6872", "#dfe5e9"
_FONT = f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}"'
LINE, DOT, BAND, TARGET, HELD, MARK = "#0b5c7a", "#7fb0c4", "#e3f1e8", "#2c7a4b", "#a3341f", "#6b4d9c"


class PointKind(StrEnum):
    """How a reading is drawn."""

    COUNTED = "counted"
    CONTEXT = "context"
    HELD_BACK = "held_back"


@dataclass(frozen=True, slots=True)
class Point:
    """One reading on the patient's own calendar: the day, and where in it (0 to 1)."""

    day: date
    part: float
    systolic: MmHg | None
    diastolic: MmHg | None
    kind: PointKind


@dataclass(frozen=True, slots=True)
class DayMean:
    """The mean of the counted readings of one local day."""

    day: date
    systolic: MmHg
    diastolic: MmHg


@dataclass(frozen=True, slots=True)
class Mark:
    """A change of the regimen, in words; drawn as a numbered line."""

    day: date
    words: str


@dataclass(frozen=True, slots=True)
class Trend:
    """Everything the drawing needs. `first` and `last` are both drawn."""

    first: date
    last: date
    points: tuple[Point, ...]
    means: tuple[DayMean, ...]
    marks: tuple[Mark, ...]
    systolic_below: MmHg | None
    diastolic_below: MmHg | None
    title: str

    @property
    def days(self) -> int:
        """How many days are drawn."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class _Panel:
    """One half of the drawing: where it stands and which pressures it spans."""

    name: str
    top: float
    height: float
    low: int
    high: int
    below: MmHg | None

    def y(self, value: Decimal) -> float:
        """Where a pressure stands; what is outside sits on the edge."""
        inside = min(max(value, Decimal(self.low)), Decimal(self.high))
        return round(self.top + self.height * float((self.high - inside) / (self.high - self.low)), 1)


def trend_svg(trend: Trend) -> str:
    """The whole drawing, as an SVG document."""
    shown = [p for p in trend.points if p.kind is not PointKind.HELD_BACK] or trend.points
    systolic = _panel("Systolic", 34, 200, [p.systolic for p in shown], trend.systolic_below)
    diastolic = _panel("Diastolic", 272, 140, [p.diastolic for p in shown], trend.diastolic_below)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {_FONT}>',
        f"<title>{escape(trend.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_frame(trend, systolic),
        *_frame(trend, diastolic),
        *_dates(trend, 430),
        *_gaps(trend, 438),
        *_marks(trend),
        *_values(trend, systolic, [(p, p.systolic) for p in trend.points], [(m.day, m.systolic) for m in trend.means]),
        *_values(
            trend, diastolic, [(p, p.diastolic) for p in trend.points], [(m.day, m.diastolic) for m in trend.means]
        ),
        *_legend(464),
        "</svg>",
    ]
    return "\n".join(parts)


def _x(trend: Trend, day: date, part: float = 0.5) -> float:
    return round(LEFT + PLOT * ((day - trend.first).days + part) / trend.days, 1)


def _panel(name: str, top: float, height: float, values: Sequence[MmHg | None], below: MmHg | None) -> _Panel:
    """Spans what there is, in steps of twenty, and the target. What is held back does not stretch it."""
    known = [v.value for v in values if v is not None] + ([below.value] if below else [])
    if not known:
        return _Panel(name, top, height, 0, 20, below)
    low, high = int(min(known) // 20 * 20), int(-(-max(known) // 20) * 20)
    return _Panel(name, top, height, low, max(high, low + 40), below)


def _frame(trend: Trend, panel: _Panel) -> Iterable[str]:
    right = LEFT + PLOT
    if panel.below is not None:
        y = panel.y(panel.below.value)
        height = round(panel.top + panel.height - y, 1)
        yield f'<rect x="{LEFT}" y="{y}" width="{PLOT}" height="{height}" fill="{BAND}"/>'
    for value in range(panel.low, panel.high + 1, 20):
        y = panel.y(Decimal(value))
        yield f'<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="{RULE}"/>'
        if any(p.systolic or p.diastolic for p in trend.points):
            yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="{FAINT}">{value}</text>'
    if panel.below is not None:
        y = panel.y(panel.below.value)
        stroke = f'stroke="{TARGET}" stroke-width="1.5" stroke-dasharray="6 4"'
        yield f'<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" {stroke}/>'
        yield (f'<text x="{LEFT + 6}" y="{y + 14}" fill="{TARGET}">target: under {panel.below.rounded()}</text>')
    unit = f'<tspan fill="{FAINT}" font-weight="400">mmHg</tspan>'
    yield f'<text x="{LEFT}" y="{panel.top - 8}" font-weight="600">{panel.name} {unit}</text>'
    if not trend.points:
        middle = panel.top + panel.height / 2
        where = f'x="{LEFT + PLOT / 2}" y="{middle}" text-anchor="middle" fill="{FAINT}"'
        yield f"<text {where}>no readings in this time</text>"


def _dates(trend: Trend, y: float) -> Iterable[str]:
    step = max(1, -(-trend.days // 8))
    for offset in range(0, trend.days, step):
        day = trend.first + timedelta(days=offset)
        yield f'<text x="{_x(trend, day)}" y="{y}" text-anchor="middle" fill="{FAINT}">{day.day} {day:%b}</text>'


def _gaps(trend: Trend, y: float) -> Iterable[str]:
    """A strip of days: grey where nothing usable was measured."""
    measured = {m.day for m in trend.means}
    width = round(PLOT / trend.days, 2)
    for offset in range(trend.days):
        day = trend.first + timedelta(days=offset)
        if day not in measured:
            yield f'<rect x="{_x(trend, day, 0)}" y="{y}" width="{width}" height="5" fill="#c4ccd2"/>'


def _marks(trend: Trend) -> Iterable[str]:
    for number, mark in enumerate(trend.marks, start=1):
        x = _x(trend, mark.day, 0)
        yield f'<line x1="{x}" y1="28" x2="{x}" y2="412" stroke="{MARK}" stroke-width="1.5" stroke-dasharray="2 3"/>'
        yield f'<circle cx="{x}" cy="16" r="9" fill="{MARK}"/>'
        yield (
            f'<text x="{x}" y="20" text-anchor="middle" fill="#ffffff" font-weight="600">{number}'
            f"<title>{escape(mark.words)}</title></text>"
        )


def _values(
    trend: Trend, panel: _Panel, points: Sequence[tuple[Point, MmHg | None]], means: Sequence[tuple[date, MmHg]]
) -> Iterable[str]:
    for point, value in points:
        if value is not None:
            yield _dot(_x(trend, point.day, point.part), panel.y(value.value), point.kind)
    for run in _runs(means):
        where = [(_x(trend, day), panel.y(value.value)) for day, value in run]
        if len(where) > 1:
            path = " ".join(f"{x},{y}" for x, y in where)
            yield f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2" stroke-linejoin="round"/>'
        for x, y in where:
            yield f'<rect x="{x - 3}" y="{y - 3}" width="6" height="6" fill="{LINE}"/>'


def _dot(x: float, y: float, kind: PointKind) -> str:
    match kind:
        case PointKind.COUNTED:
            return f'<circle cx="{x}" cy="{y}" r="2.2" fill="{DOT}"/>'
        case PointKind.CONTEXT:
            return f'<path d="M{x - 2.5} {y - 2.5}l5 5m0 -5l-5 5" stroke="#8a959d" fill="none"/>'
        case PointKind.HELD_BACK:
            return f'<circle cx="{x}" cy="{y}" r="4" fill="#ffffff" stroke="{HELD}" stroke-width="1.5"/>'


def _runs(means: Sequence[tuple[date, MmHg]]) -> Iterable[list[tuple[date, MmHg]]]:
    """Days that follow each other; a missing day ends a run."""
    run: list[tuple[date, MmHg]] = []
    for day, value in sorted(means, key=lambda m: m[0]):
        if run and day - run[-1][0] > timedelta(days=1):
            yield run
            run = []
        run.append((day, value))
    if run:
        yield run


def _legend(y: float) -> Iterable[str]:
    entries = (
        (f'<rect x="0" y="-7" width="6" height="6" fill="{LINE}"/>', "mean of the day"),
        (f'<circle cx="3" cy="-4" r="2.5" fill="{DOT}"/>', "reading"),
        (f'<circle cx="3" cy="-4" r="4" fill="#ffffff" stroke="{HELD}" stroke-width="1.5"/>', "held back, not used"),
        ('<path d="M0 -7l6 6m0 -6l-6 6" stroke="#8a959d" fill="none"/>', "context only (not a home upper-arm cuff)"),
        ('<rect x="0" y="-6" width="8" height="5" fill="#c4ccd2"/>', "day without usable readings"),
        (f'<circle cx="3" cy="-4" r="6" fill="{MARK}"/>', "change of medication"),
    )
    for place, (shape, words) in enumerate(entries):
        x, row = LEFT + place % 3 * (PLOT // 3), y + place // 3 * 20
        yield f'<g transform="translate({x} {row})">{shape}<text x="14" y="0" fill="{FAINT}">{words}</text></g>'
