"""The acts of a report in the form its kind asks for: tables where people compare, blocks where they read.

The rules
 * Every act of the bundle is drawn, whatever the kind of report: what has no place in its table follows as a block, and
   the record's own keys and witnesses come last.
 * Every signature is listed once, beside standing at its act (21 CFR 11.50(b)).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from audit.bundles import Bundle
from audit.reports import listing, opening
from audit.reports.acts import Act, acts
from audit.reports.history import draw_act, manifestation
from audit.reports.sheets import QUIET, Book
from audit.reports.survey import SAME_RECORD_WITHIN, Survey

Progress = Callable[[int, int], None]
EVERY = 50  # acts between two words of progress
_SIGNED = (("Printed name", 140.0), ("Date and time", 96.0), ("Meaning", 118.0), ("How", 105.0), ("At no.", 40.0))
_IN_TABLE = {"access": listing.LOOK_KINDS, "disclosures": listing.DISCLOSURE_KINDS}


def draw_body(book: Book, bundle: Bundle, found: Survey, *, progress: Progress | None) -> None:
    """Every act of the bundle."""
    told = _Told(found.total, progress)
    kind = opening.report_kind(bundle.manifest)
    in_table = _IN_TABLE.get(kind, frozenset())
    if kind == "access":
        _looks(book, bundle, found, told)
    elif kind == "disclosures":
        _disclosures(book, bundle, found, told)
    tabled = sum(found.kinds[each] for each in in_table)
    if found.total > tabled + found.about_keys:
        rest = (act for act in acts(bundle) if not act.about_keys and act.kind not in in_table)
        _blocks(book, told(rest), found, "Other acts in this report" if in_table else "History")
    _signatures(book, bundle, found)
    if tabled:
        _particulars(book, (act for act in acts(bundle) if act.kind in in_table), found)
    if found.about_keys:
        own = (act for act in acts(bundle) if act.about_keys)
        _blocks(book, told(own), found, "The record itself: its keys and witnesses")
    told.end()


class _Told:
    """Counts acts as they are drawn, and says so."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def __call__(self, some: Iterator[Act]) -> Iterator[Act]:
        """The same acts, counted."""
        for act in some:
            yield act
            self._done += 1
            if self._progress is not None and self._done % EVERY == 0:
                self._progress(self._done, self._total)

    def end(self) -> None:
        """The last word."""
        if self._progress is not None:
            self._progress(self._total, self._total)


def _blocks(book: Book, some: Iterator[Act], found: Survey, title: str) -> None:
    book.heading(title, keep=175)
    for act in some:
        draw_act(book, act, found)


def _looks(book: Book, bundle: Bundle, found: Survey, told: _Told) -> None:
    book.heading("Who looked, when and why", keep=80)
    if not found.looks:
        book.paragraph("Nobody looked, as far as was asked for.", colour=QUIET)
        return
    table = listing.Table(book, listing.LOOKS)
    for act in told(act for act in acts(bundle) if act.kind in listing.LOOK_KINDS):
        listing.look(table, act, found)


def _disclosures(book: Book, bundle: Bundle, found: Survey, told: _Told) -> None:
    book.heading("Disclosures that are accounted for", keep=80)
    if not any(found.kinds[each] for each in listing.DISCLOSURE_KINDS):
        book.paragraph(
            "No disclosure that must be accounted for is in the record, as far as was asked for.", colour=QUIET
        )
    else:
        table = listing.Table(book, listing.DISCLOSED)
        for act in told(act for act in acts(bundle) if act.kind in listing.DISCLOSURE_KINDS):
            listing.disclosure(table, act)
    book.y -= 6
    book.paragraph(
        "Not accounted for here, as 45 CFR 164.528(a)(1) provides: disclosures for treatment, payment and health care "
        "operations, to the patient, on the patient's authorisation, and the others that clause names.",
        size=8,
        colour=QUIET,
    )


def _particulars(book: Book, some: Iterator[Act], found: Survey) -> None:
    book.heading("Particulars of the lines above", keep=60)
    for act in some:
        listing.draw_particulars(book, act, found)


def _signatures(book: Book, bundle: Bundle, found: Survey) -> None:
    book.heading("Signatures", keep=60)
    if not found.methods:
        book.paragraph("No act in this report is signed by a person.", colour=QUIET)
        return
    table = listing.Table(book, _SIGNED)
    seen: deque[tuple[str, str]] = deque(maxlen=SAME_RECORD_WITHIN)
    for act in acts(bundle):
        if "esign" not in act.entry:
            continue
        name, when, meaning, method = manifestation(act)
        same = (act.entry["esign"]["record"], act.entry["esign"].get("name_shown", ""))
        if same not in seen:
            seen.append(same)
            table.row([name, when, meaning, method, f"{act.position:,}"])
