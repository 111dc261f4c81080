"""G13: a report of 1,000 rows beside the same text, line for line, on reportlab's own canvas; and beside its LongTable.

What ours does more: it reads and checks the bundle, wraps, sets lines, boxes and charts, counts pages, hashes, and
carries the bundle. What the canvas is given: every line ready, with its place, typeface, size and colour.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import LongTable, SimpleDocTemplate

from audit.reports import draw, fonts
from audit.reports.sheets import INK, QUIET, Book
from tests.audit.reports import cases
from tests.benches.measuring import Goal, Means

ROWS = 1_000
Line = tuple[float, float, str, str, float, str]


@contextmanager
def _rows(folder: Path) -> Iterator[Goal]:
    bundle = cases.write(cases.accesses(ROWS), folder / "rows.zip", report="access")
    yield _goal(bundle, f"pages per second of a report of {ROWS:,} accesses", table=True)


@contextmanager
def _history(folder: Path) -> Iterator[Goal]:
    case = cases.patient_history(loops=ROWS // 7, synthetic=False)
    case.rows.clear()
    bundle = cases.write(case, folder / "history.zip", kind="period", report="period")
    yield _goal(bundle, f"pages per second of a history of {len(case.acts):,} acts", table=False)


def _goal(bundle: Path, what: str, *, table: bool) -> Goal:
    pages = _lines(bundle)
    for name in (fonts.TEXT, fonts.BOLD, fonts.MONO):
        pdfmetrics.registerFont(TTFont(name, fonts.loaded(name).face.filename, shapable=False))
    arms = {"ours": partial(_ours, bundle), "canvas": partial(_canvas, pages)}
    if table:
        arms["longtable"] = partial(_long_table, ROWS)
    return Goal(what, 0.8, Means.RATE_AT_LEAST, "ours", "canvas", arms, partial(_gate, bundle, pages))


def _ours(bundle: Path) -> float:
    with io.BytesIO() as out:
        return draw(bundle, out, sign=cases.statement).pages


def _canvas(pages: list[list[Line]]) -> float:
    with io.BytesIO() as out:
        canvas = Canvas(out, pagesize=A4, pageCompression=1, invariant=1)
        for lines in pages:
            for x, y, text, face, size, colour in lines:
                canvas.setFont(face, size)
                canvas.setFillColorRGB(*map(float, colour.split()))
                canvas.drawString(x, y, text)
            canvas.showPage()
        canvas.save()
    return len(pages)


def _long_table(rows: int) -> float:
    cells = [
        [str(n), "1 Mar 2026, 12:00:00", "Dr. Ana Example, clinician", "summary", "treatment"] for n in range(rows)
    ]
    with io.BytesIO() as out:
        document = SimpleDocTemplate(out, pagesize=A4, invariant=1)
        document.build([LongTable(cells, repeatRows=1)])
        return document.page


def _gate(bundle: Path, pages: list[list[Line]]) -> None:
    """Ours is the same bytes again; both have the same pages and the same text on them."""
    one, other = io.BytesIO(), io.BytesIO()
    drawn = draw(bundle, one, sign=cases.statement)
    draw(bundle, other, sign=cases.statement)
    assert one.getvalue() == other.getvalue()
    assert drawn.pages == len(pages) == _canvas(pages)


def _lines(bundle: Path) -> list[list[Line]]:
    """Every line of the report where it stands, heard from the drawing itself."""
    pages: list[list[Line]] = []
    plain = Book.text

    def heard(
        book: Book, x: float, y: float, text: str, face: str = fonts.TEXT, size: float = 8, colour: str = INK
    ) -> None:
        while len(pages) < book.page:
            pages.append([])
        if text:
            pages[book.page - 1].append((x, y, text, face, size, colour))
        plain(book, x, y, text, face, size, colour)

    Book.text = heard  # type: ignore[method-assign]
    try:
        with io.BytesIO() as out:
            digest = draw(bundle, out, sign=cases.statement).bundle_sha256
    finally:
        Book.text = plain  # type: ignore[method-assign]
    for number, lines in enumerate(pages, start=1):
        lines.append((48, 35, f"bundle SHA-256 {digest}", fonts.MONO, 6, QUIET))
        lines.append((490, 35, f"Page {number} of {len(pages)}", fonts.TEXT, 7.5, QUIET))
    return pages


GOALS = {"G13": _rows, "G13_history": _history}
