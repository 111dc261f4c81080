"""Acts as lines of a table: who looked at a record, and what was disclosed to whom.

The rules
 * Accounting of disclosures: date, recipient with address, what, why, a line each (45 CFR 164.528(b)(2)).
 * Accesses: when, who, what, why, how it ended (45 CFR 164.312(b)); refused and emergency ones stand out in words.
 * What a line does not say stands under its number in the particulars, so that nothing is missing (21 CFR 11.10(b)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audit import words
from audit.reports.acts import Act, day, moment
from audit.reports.fonts import BOLD, MONO, TEXT, visible, wrap
from audit.reports.history import particulars
from audit.reports.sheets import ALARM, BOTTOM, INK, LEFT, QUIET, RIGHT, RULE, TOP, Book
from audit.reports.survey import Survey

Column = tuple[str, float]
LOOKS: tuple[Column, ...] = (("No.", 32), ("When (UTC)", 96), ("Who", 150), ("What", 100), ("Why", 74), ("Ended", 47))
DISCLOSED: tuple[Column, ...] = (("No.", 36), ("Date", 62), ("To whom", 150), ("What", 140), ("Purpose", 111))
LOOK_KINDS = frozenset({"access.read", "access.denied", "access.break_glass"})
DISCLOSURE_KINDS = frozenset({"export.made", "export.disclosed", "export.handed_out"})
_SIZE, _LEAD = 7.5, 9.6


class Table:
    """A table that goes on over pages, its head repeated."""

    def __init__(self, book: Book, columns: Sequence[Column]) -> None:
        self._book, self._columns = book, columns
        self._head()

    def _head(self) -> None:
        book, x = self._book, LEFT
        book.y -= 12
        for name, wide in self._columns:
            book.text(x, book.y, name, BOLD, _SIZE, QUIET)
            x += wide
        book.y -= 4
        book.line([(LEFT, book.y), (RIGHT, book.y)], QUIET, 0.7)

    def row(self, cells: Sequence[str], *, alarm: bool = False) -> None:
        """One row, its cells wrapped."""
        book = self._book
        wrapped = [
            wrap(visible(cell), TEXT, _SIZE, wide - 6) for cell, (_, wide) in zip(cells, self._columns, strict=True)
        ]
        lines = max(len(cell) for cell in wrapped)
        if book.y - (min(lines, 40) * _LEAD + 6) < BOTTOM:
            book.turn()
            self._head()
        book.y -= 1.5
        for line in range(lines):
            if book.y - _LEAD < BOTTOM:
                book.turn()
                self._head()
            book.y -= _LEAD
            x = LEFT
            for cell, (_, wide) in zip(wrapped, self._columns, strict=True):
                if line < len(cell):
                    book.text(x, book.y, cell[line], TEXT, _SIZE, ALARM if alarm else INK)
                x += wide
        book.y -= 3.5
        if book.y < TOP:
            book.line([(LEFT, book.y), (RIGHT, book.y)], RULE, 0.4)


def look(table: Table, act: Act, found: Survey) -> None:
    """The row of an access."""
    entry, actor = act.entry, act.entry["actor"]
    who = ", ".join(
        [found.name(actor)]
        + ([words.opened(actor["role"])] if "role" in actor else [])
        + ([f"through {entry['on_behalf_of']['id']}"] if "on_behalf_of" in entry else [])
    )
    what = str((act.said or {}).get("what") or f"{words.opened(entry['object']['type'])}")
    why = words.of("purposes", entry["purpose"])
    if "reason_code" in entry:
        why = f"{why}: {words.code(entry['reason_code'])}"
    urgent = act.kind == "access.break_glass"
    ended = words.of("outcomes", entry["outcome"])
    table.row(
        [f"{act.position:,}", moment(entry["occurred_at"]).removesuffix(" UTC"), who, what, why, ended],
        alarm=entry["outcome"] != "ok" or urgent,
    )


def disclosure(table: Table, act: Act) -> None:
    """The row of a disclosure."""
    said = act.said or {}
    to = ", ".join(str(said[name]) for name in ("recipient", "address") if said.get(name)) or "not shown to this reader"
    what = str(said.get("description") or _described(said) or words.kind(act.kind))
    purpose = str(said.get("purpose") or words.of("purposes", act.entry["purpose"]))
    table.row([f"{act.position:,}", day(act.entry["occurred_at"]), to, what, purpose])


def _described(said: Mapping[str, Any]) -> str:
    """A brief description from what an export says of itself (45 CFR 164.528(b)(2)(iii))."""
    if "report" not in said:
        return ""
    counts = [f"{said[name]} {of}" for name, of in (("entries", "acts"), ("payloads", "contents")) if name in said]
    return ", ".join([words.of("reports", str(said["report"])), *counts])


def draw_particulars(book: Book, act: Act, found: Survey) -> None:
    """What a row of a table does not say, field by field, in small type."""
    lines = particulars(act, found, also=act.said or {}, room=RIGHT - LEFT - 40)
    book.need(min(len(lines), 20) * 7 + 5)
    for number, line in enumerate(lines):
        book.need(7)
        book.y -= 7
        if number == 0:
            book.text(LEFT, book.y, f"{act.position:,}", BOLD, 6.5, INK)
        book.text(LEFT + 40, book.y, line, MONO, 5.2, QUIET)
    book.y -= 5
