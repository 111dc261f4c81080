"""The first pages: what this report is, about whom, for whom and why, what is in it, and how far it is proved.

The rules
 * A record of synthetic people says so in words on the first page and at the head of every page (never claimed to be
   real care).
 * What the bundle claims of its witnesses is called a claim: a reader checks it with a policy file of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit import words
from audit.bundles import Manifest
from audit.reports import charts
from audit.reports.acts import moment
from audit.reports.fonts import BOLD, MONO, TEXT, clip, visible, wrap
from audit.reports.sheets import BRAND, INK, LEFT, MARK, MARK_SOFT, QUIET, RIGHT, RULE, SOFT, WHITE, Book
from audit.reports.survey import Survey

_NOT_REPEATED = frozenset({"report", "synthetic", "subject", "patient", "from", "to", "verify_url", "model", "person"})
_ABOUT_PATIENT = frozenset({"patient", "decision_history", "access", "disclosures"})


def report_kind(manifest: Manifest) -> str:
    """Which report is asked for: `filter.report`, else the kind of the bundle."""
    return manifest.chosen("report") or manifest.kind


def title(manifest: Manifest) -> str:
    """The report's title, in words."""
    words_ = words.of("reports", report_kind(manifest))
    return clip(visible(words_[:1].upper() + words_[1:]), BOLD, 21, RIGHT - LEFT - 40)


def draw_title(book: Book, manifest: Manifest, found: Survey, *, claimed: int) -> None:
    """The title page. `claimed` is how many cosignatures the newest checkpoint carries."""
    book.box(LEFT, 690, RIGHT - LEFT, 82, BRAND)
    book.text(LEFT + 20, 744, "CLINAIOPS · AUDIT REPORT", BOLD, 8.5, WHITE)
    book.text(LEFT + 20, 719, title(manifest), BOLD, 21, WHITE)
    said = words.table()["about"].get(report_kind(manifest), "Acts of the record, as they were asked for.")
    book.text(LEFT + 20, 702, said, TEXT, 7.8, WHITE)
    book.y = 678
    if found.synthetic:
        _simulation(book)
    book.y -= 8
    for label, said in _facts(manifest, found):
        _fact(book, label, said)
    book.y -= 14
    _tiles(book, manifest, found)
    book.y -= 16
    _proved(book, manifest, claimed=claimed)


def _simulation(book: Book) -> None:
    book.box(LEFT, book.y - 34, RIGHT - LEFT, 32, MARK_SOFT)
    book.text(LEFT + 12, book.y - 15, "SIMULATION", BOLD, 10, MARK)
    said = "The people in this record are synthetic. Nothing here happened to a patient; nothing is evidence of care."
    book.text(LEFT + 12, book.y - 27, said, TEXT, 8, MARK)
    book.y -= 40


def _facts(manifest: Manifest, found: Survey) -> Iterator[tuple[str, str]]:
    chosen = dict(manifest.filter)
    yield "About", _about(manifest, found)
    start, end = chosen.get("from"), chosen.get("to")
    if start or end:
        yield (
            "Period asked for",
            f"{_when(start) if start else 'the beginning'} to {_when(end) if end else 'the time of export'}",
        )
    if found.total:
        yield "Acts found in", f"{moment(found.first)} to {moment(found.last)}"
    who = dict(manifest.made_by)
    name = found.name(who) if who["kind"] != "user" else found.names.get(who["id"].replace("-", "_"), "an account")
    name += f", {words.opened(who['role'])}" if "role" in who else ""
    identifier = f" ({words.of('actors', who['kind'])} {who['id']})"
    yield "Exported by", f"{name}{identifier}"
    yield "Exported on", moment(manifest.made_at)
    for label, value in sorted(chosen.items()):
        if label not in _NOT_REPEATED and value and not label.startswith("name_"):
            yield words.of("filters", label).capitalize(), words.code(value) if words.known(value) else value
    yield "From the log", manifest.origin


def _about(manifest: Manifest, found: Survey) -> str:
    subject = manifest.chosen("subject") or (next(iter(found.subjects)) if len(found.subjects) == 1 else None)
    if subject and (manifest.kind == "patient" or report_kind(manifest) in _ABOUT_PATIENT):
        return f"one patient, whom the log knows as {subject}"
    if manifest.kind == "model":
        names = sorted({name for name, _ in found.models})
        return manifest.chosen("model") or ", ".join(names) or "a model"
    if manifest.kind == "person":
        return manifest.chosen("person") or "one person"
    return {"decision": "one recommendation and what became of it", "everything": "everything in the log"}.get(
        manifest.kind, "all acts of the period that were asked for"
    )


def _when(stamp: str) -> str:
    return moment(stamp) if len(stamp) >= 19 else stamp


def _fact(book: Book, label: str, said: str) -> None:
    lines = wrap(visible(said), TEXT, 9.5, RIGHT - LEFT - 120)
    for number, line in enumerate(lines):
        book.need(14)
        book.y -= 14
        if number == 0:
            book.text(LEFT, book.y, visible(label), TEXT, 9.5, QUIET)
        book.text(LEFT + 120, book.y, line, TEXT, 9.5, INK)
    book.y -= 4
    book.line([(LEFT, book.y), (RIGHT, book.y)], RULE, 0.5)


def _tiles(book: Book, manifest: Manifest, found: Survey) -> None:
    refused = found.outcomes["denied"] + found.outcomes["error"]
    hidden = manifest.payloads.withheld + manifest.payloads.shredded
    tiles = (
        (found.total, "acts in this report"),
        (found.signatures, "signatures given"),
        (refused, "acts refused or failed"),
        (hidden, "contents not shown"),
    )
    book.need(62)
    wide, gap = (RIGHT - LEFT - 30) / 4, 10.0
    for number, (count, label) in enumerate(tiles):
        x = LEFT + number * (wide + gap)
        book.box(x, book.y - 52, wide, 52, SOFT)
        book.text(x + 10, book.y - 26, f"{count:,}", BOLD, 17, BRAND)
        book.text(x + 10, book.y - 42, label, TEXT, 7.5, QUIET)
    book.y -= 52


def _proved(book: Book, manifest: Manifest, *, claimed: int) -> None:
    book.need(96)
    book.text(LEFT, book.y - 10, "How far this is proved", BOLD, 10.5, BRAND)
    book.y -= 12
    witnessed = f"{claimed} cosignature{'' if claimed == 1 else 's'}" if claimed else "no cosignature"
    book.paragraph(
        f"Every act below is an entry of an append-only log of {manifest.size:,} entries. The log's root over them is "
        f"signed, and the bundle claims {witnessed} of witnesses for it. This paper is a view: the bundle it was drawn "
        "from travels inside this file, and whoever holds a policy file of their own can check both without trusting "
        "this house. The last page says how.",
        size=8.5,
    )
    book.y -= 12
    book.text(LEFT, book.y, "Root", TEXT, 8, QUIET)
    book.text(LEFT + 120, book.y, manifest.root.hex(), MONO, 7.5, INK)


def draw_glance(book: Book, found: Survey) -> None:
    """What people would rather look at than read."""
    book.turn()
    book.heading("At a glance", keep=100)
    if not found.total:
        book.paragraph(
            "No act matches what was asked for. That is a finding too: the proof of it is under “What was left out”."
        )
        return
    if found.pressures:
        _sub(book, "Blood pressure")
        charts.pressure(book, found)
    if found.decisions:
        _sub(book, "What became of recommendations")
        rows = [(words.kind(f"recommendation.{name}"), count) for name, count in found.decisions.most_common()]
        charts.bars(book, rows, room=250)
    if found.looks:
        _sub(book, "Who looked, by day", keep=160)
        charts.columns(book, found.look_days)
        rows = [(found.name({"kind": kind, "id": who}), count) for (kind, who), count in found.looks.most_common(15)]
        charts.bars(book, rows, room=250)
        if len(found.looks) > len(rows):
            book.paragraph(f"and {len(found.looks) - len(rows):,} more people and programs.", size=8, colour=QUIET)
    if found.models:
        _sub(book, "Acts that rest on a model")
        rows = [(f"{words.code(name)} {version}", count) for (name, version), count in found.models.most_common(12)]
        charts.bars(book, rows, room=250)
    _sub(book, "Acts by kind")
    kinds = found.kinds.most_common(25)
    charts.bars(book, [(words.kind(kind), count) for kind, count in kinds], room=250)
    if len(found.kinds) > len(kinds):
        book.paragraph(
            f"and {len(found.kinds) - len(kinds)} more kinds, each with its acts below.", size=8, colour=QUIET
        )


def _sub(book: Book, text: str, *, keep: float = 70) -> None:
    book.need(keep)
    book.y -= 20
    book.text(LEFT, book.y, text, BOLD, 10, INK)
    book.y -= 2
