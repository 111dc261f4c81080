"""Drawings for where people would rather look: pressure over time, decisions by kind, looks by day.

The rules
 * Colour never carries meaning alone, and the facts stand in a table under each drawing.
 * A time without readings is a gap in the line, never a zero and never bridged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

from audit.reports import fonts
from audit.reports.acts import MONTHS
from audit.reports.sheets import BAND, BRAND, GOOD, INK, LEFT, MARK, QUIET, RIGHT, RULE, WHITE, Book
from audit.reports.survey import Day, Survey, by_period

_PANELS = (("Systolic", 118.0), ("Diastolic", 84.0))


def short(day: date) -> str:
    """A day of a chart, written out."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def pressure(book: Book, found: Survey) -> None:
    """Blood pressure over time, with the target and the changes of the regimen; the facts below."""
    length, days = by_period(found.pressures)
    if not days:
        return
    each = "day" if length == 1 else "week" if length == 7 else f"{length} days"
    book.need(sum(high for _, high in _PANELS) + 110)
    book.y -= 12
    book.text(LEFT, book.y, f"Mean home pressure of each {each}, mmHg", size=8, colour=QUIET)
    target = found.targets[-1] if found.targets else None
    top, book.y = book.y - 16, book.y - 10
    for number, (name, high) in enumerate(_PANELS):
        below = float((target[1], target[2])[number]) if target else None
        panel = _Panel(name, book.y - 20 - high, book.y - 20, days, length, below)
        panel.frame(book)
        panel.values(book)
        book.y -= 20 + high
    panel.dates(book)
    _marks(book, panel, top, book.y, found.changes)
    book.y -= 18
    _legend(book, found)
    _facts(book, days, each)


class _Panel:
    """Half of the drawing: where days and pressures of one kind stand."""

    def __init__(
        self, name: str, bottom: float, top: float, days: Mapping[date, Day], length: int, below: float | None
    ) -> None:
        self.name, self.bottom, self.top, self.below = name, bottom, top, below
        self.left, self.right = LEFT + 26, RIGHT
        self.means = [(day, float(getattr(d, name.lower()) / d.count)) for day, d in days.items()]
        self.length, self.first = length, min(days)
        self.span = (max(days) - self.first).days + length
        known = [value for _, value in self.means] + ([below] if below is not None else [])
        self.low = int(min(known) // 20 * 20)
        self.high = max(int(-(-max(known) // 20) * 20), self.low + 40)

    def x(self, day: date) -> float:
        """Where a day stands; what lies outside sits on the edge."""
        part = ((day - self.first).days + self.length / 2) / self.span
        return self.left + (self.right - self.left) * min(max(part, 0.0), 1.0)

    def y(self, value: float) -> float:
        """Where a pressure stands."""
        return self.bottom + (self.top - self.bottom) * (value - self.low) / (self.high - self.low)

    def frame(self, book: Book) -> None:
        """Grid, target and name."""
        if self.below is not None:
            book.box(self.left, self.bottom, self.right - self.left, self.y(self.below) - self.bottom, BAND)
        for value in range(self.low, self.high + 1, 20):
            book.line([(self.left, self.y(value)), (self.right, self.y(value))], RULE, 0.5)
            book.right(self.left - 5, self.y(value) - 2.5, str(value), size=7, colour=QUIET)
        if self.below is not None:
            book.line([(self.left, self.y(self.below)), (self.right, self.y(self.below))], GOOD, 0.9, "4 3")
            book.text(self.left + 4, self.y(self.below) - 8, f"target: under {self.below:g}", size=6.5, colour=GOOD)
        book.text(self.left, self.top + 3, self.name, fonts.BOLD, 7.5)

    def dates(self, book: Book) -> None:
        """The days below."""
        step = max(1, -(-self.span // 7))
        for offset in range(0, self.span, step):
            at = self.left + (self.right - self.left) * offset / self.span
            if at < self.right - 38:
                book.text(at, self.bottom - 10, short(self.first + timedelta(days=offset)), size=6.5, colour=QUIET)

    def values(self, book: Book) -> None:
        """The line, broken where a day is missing, and its points."""
        points = [(day, self.x(day), self.y(value)) for day, value in self.means]
        for one, other in pairwise(points):
            if (other[0] - one[0]).days <= self.length:
                book.line([one[1:], other[1:]], BRAND, 1.3)
        for _, x, y in points:
            book.box(x - 1.7, y - 1.7, 3.4, 3.4, BRAND)


def _marks(book: Book, panel: _Panel, top: float, bottom: float, changes: Sequence[tuple[date, str]]) -> None:
    """The changes of the regimen, numbered; those outside the drawing stand in the list only."""
    for number, (day, _) in enumerate(changes, start=1):
        if panel.first <= day <= panel.first + timedelta(days=panel.span):
            x = min(panel.x(day), RIGHT - 5)
            book.line([(x, bottom), (x, top)], MARK, 1, "2 2")
            book.box(x - 5, top, 10, 10, MARK)
            book.text(x - (2 if number < 10 else 4), top + 2.5, str(number), fonts.BOLD, 6.5, WHITE)


def _legend(book: Book, found: Survey) -> None:
    if found.targets:
        day, systolic, diastolic = found.targets[-1]
        said = f"Green: inside the target signed on {short(day)}, under {systolic:f}/{diastolic:f} mmHg."
        book.paragraph(said, size=7.5, colour=QUIET)
    else:
        book.paragraph("No signed target is in this report.", size=7.5, colour=QUIET)
    for number, (day, change) in enumerate(found.changes, start=1):
        book.paragraph(f"{number}  {short(day)}: {change}", size=7.5, colour=MARK)


def _facts(book: Book, days: Mapping[date, Day], each: str) -> None:
    book.y -= 6
    rows = [
        (short(day), f"{d.systolic / d.count:.0f}/{d.diastolic / d.count:.0f}", str(d.count)) for day, d in days.items()
    ]
    columns, wide = 3, (RIGHT - LEFT) / 3
    per = -(-len(rows) // columns)
    book.need(min(per, 30) * 11 + 26)
    top = book.y - 10
    for column in range(columns if len(rows) > 2 else len(rows)):
        x = LEFT + column * wide
        book.text(x, top, each, fonts.BOLD, 7.5, QUIET)
        book.right(x + 112, top, "mean", fonts.BOLD, 7.5, QUIET)
        book.right(x + 152, top, "readings", fonts.BOLD, 7.5, QUIET)
        for line, row in enumerate(rows[column * per : column * per + per]):
            y = top - 11 - line * 11
            book.text(x, y, row[0], size=7.5)
            book.right(x + 112, y, row[1], size=7.5)
            book.right(x + 152, y, row[2], size=7.5)
    book.y = top - 11 * per - 6


def bars(book: Book, rows: Sequence[tuple[str, int]], *, room: float) -> None:
    """Counts as bars, the number beside each: drawing and table in one."""
    most = max(count for _, count in rows)
    wide = RIGHT - LEFT - room - 50
    for name, count in rows:
        book.need(15)
        book.y -= 15
        book.text(LEFT, book.y, fonts.clip(fonts.visible(name), fonts.TEXT, 8.5, room - 8), size=8.5)
        book.box(LEFT + room, book.y - 2, max(1.0, wide * count / most), 9, BRAND)
        book.text(LEFT + room + wide * count / most + 6, book.y, f"{count:,}", fonts.BOLD, 8.5, INK)
    book.y -= 4


def columns(book: Book, days: Mapping[str, int]) -> None:
    """Counts by day as columns over the whole time, days without any left empty; joined where there are many."""
    known = sorted((date.fromisoformat(day), count) for day, count in days.items())
    if not known:
        return
    first, span = known[0][0], (known[-1][0] - known[0][0]).days + 1
    length = max(1, -(-span // 120))
    joined: dict[int, int] = {}
    for day, count in known:
        place = (day - first).days // length
        joined[place] = joined.get(place, 0) + count
    places, most, high = -(-span // length), max(joined.values()), 70.0
    book.need(high + 40)
    left, bottom = LEFT + 26, book.y - 12 - high
    wide = (RIGHT - left) / max(places, 30)
    for value in sorted({0, most}):
        y = bottom + high * value / most
        book.line([(left, y), (RIGHT, y)], RULE, 0.5)
        book.right(left - 5, y - 2.5, str(value), size=7, colour=QUIET)
    for place, count in sorted(joined.items()):
        book.box(left + place * wide + wide * 0.1, bottom, wide * 0.8, high * count / most, BRAND)
    book.text(left, bottom - 10, short(first), size=6.5, colour=QUIET)
    if places > 1:
        book.right(min(left + wide * places, RIGHT), bottom - 10, short(known[-1][0]), size=6.5, colour=QUIET)
    book.y = bottom - 18
    each = "Each column is one day." if length == 1 else f"Each column is {length} days."
    book.paragraph(each, size=7.5, colour=QUIET)
