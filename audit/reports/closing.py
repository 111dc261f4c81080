"""The last pages: what was left out and its proof, the words used, and the sheet by which all of it is checked.

The rules
 * What a filter, a permission or a shredding left out is counted under its reason, and the tiling of the log into
   included entries and hashes of the rest is shown in numbers: that is what a verifier recomputes.
 * Quorum and cosignatures are printed as the bundle states them and called a claim (SECURITY 3.5: keys and policy come
   from elsewhere, never from the bundle).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

from audit import notes, words
from audit.bundles import Bundle, Checkpoint, Manifest
from audit.reports.acts import moment
from audit.reports.fonts import BOLD, MONO, TEXT, visible, wrap
from audit.reports.sheets import BRAND, INK, LEFT, QUIET, RIGHT, SOFT, Book
from audit.reports.survey import Survey


@dataclass(frozen=True, slots=True)
class Proof:
    """What the bundle states of its own proof."""

    newest: Checkpoint | None
    checkpoints: int
    gaps: int
    hidden: int
    cosigners: tuple[str, ...]


def proof_of(bundle: Bundle) -> Proof:
    """Count checkpoints and gaps; who cosigned the newest checkpoint, by name, unverified."""
    newest, count, gaps, hidden = None, 0, 0, 0
    for checkpoint in bundle.checkpoints():
        newest, count = checkpoint, count + 1
    end = -1
    for rest in bundle.rest():
        gaps += rest.start != end
        hidden, end = hidden + rest.end - rest.start, rest.end
    return Proof(newest, count, gaps, hidden, _cosigners(newest, bundle.manifest.origin))


def _cosigners(checkpoint: Checkpoint | None, origin: str) -> tuple[str, ...]:
    if checkpoint is None:
        return ()
    try:
        note = notes.parse(checkpoint.note)
    except notes.NoteInvalid:
        return ()
    return tuple(sorted({line.name for line in note.signatures if line.name != origin}))


def draw_left_out(book: Book, manifest: Manifest, proof: Proof) -> None:
    """What is not in this report, and why anybody can check that nothing else is missing."""
    book.heading("What was left out, and the proof of it", keep=120)
    missing = manifest.size - manifest.entries
    here = (
        f"{manifest.entries:,} of them are in this report and {missing:,} are not; those are represented by hashes "
        f"over {proof.gaps:,} stretch{'' if proof.gaps == 1 else 'es'} of the log ({proof.hidden:,} entries). "
        "Included entries and hashes together"
        if missing
        else "All of them are in this report. Together they"
    )
    book.paragraph(
        f"The log held {manifest.size:,} entries when this was exported. {here} tile the log from its first entry to "
        "its last: whoever recomputes them gets the signed root, and could not with an entry altered, added or removed."
    )
    book.y -= 6
    rows = [
        (f"{each.n:,}", words.of("left_out", each.what), words.left_out(each.why))
        for each in manifest.left_out
        if each.n
    ]
    shredded = manifest.payloads.shredded
    if shredded and not any(each.why == "shredded" for each in manifest.left_out):
        rows.append((f"{shredded:,}", words.of("left_out", "payloads"), words.of("left_out", "shredded")))
    if not rows:
        book.paragraph("Nothing was left out.")
    for count, what, why in rows:
        _line(book, count, f"{what}: {why}")
    if not manifest.entries:
        return
    complete = (
        "Every object with an act in this report is here with all its acts, from the first to the newest."
        if manifest.complete_objects
        else "Some objects are here with some of their acts only: the filter cut through them."
    )
    book.y -= 4
    book.paragraph(complete)


def _line(book: Book, count: str, said: str) -> None:
    for number, line in enumerate(wrap(visible(said), TEXT, 9, RIGHT - LEFT - 80)):
        book.need(13)
        book.y -= 13
        if number == 0:
            book.right(LEFT + 64, book.y, count, BOLD, 9, INK)
        book.text(LEFT + 80, book.y, line, TEXT, 9, INK)


def draw_words(book: Book, found: Survey) -> None:
    """The codes of this report and what they say."""
    book.heading("Words used", keep=60)
    pairs = [(kind, words.kind(kind)) for kind in sorted(found.kinds)]
    pairs += [(code, words.code(code)) for code in sorted(found.codes)]
    pairs += [(method, words.of("methods", method)) for method in sorted(found.methods)]
    for code, said in pairs:
        for number, line in enumerate(wrap(visible(said), TEXT, 8, RIGHT - LEFT - 210)):
            book.need(11)
            book.y -= 11
            if number == 0:
                book.text(LEFT, book.y, visible(code, MONO), MONO, 7, QUIET)
            book.text(LEFT + 210, book.y, line, TEXT, 8, INK)
    book.y -= 8
    book.paragraph(
        "No.: the place of an entry in the log, counted from 0. Leaf: SHA-256 of the entry as the log holds it. "
        "Commitment: a salted digest that binds the log to content kept apart from it. …: the end of a long "
        "identifier, whole in the particulars. [U+202E]: a character that is invisible, changes the direction of "
        "writing or is not in this document's typeface stands as its number; the bundle inside has it as it was "
        "written. Times are UTC.",
        size=8,
        colour=QUIET,
    )


def draw_sheet(book: Book, manifest: Manifest, proof: Proof, bundle_sha256: str) -> None:
    """The verification sheet, on a page of its own."""
    book.turn()
    book.heading("Verification sheet", keep=200)
    top = book.y
    book.paragraph("Check this file on any machine, without this house and without a network:", room=330)
    book.y -= 4
    book.paragraph("python -m audit.verify THIS-FILE.pdf --policy POLICY-FILE", face=MONO, size=8, room=330)
    book.y -= 4
    book.paragraph(
        "The policy file names the log's key and the witnesses you trust. Get it from somebody else than who gave you "
        "this file. The answer is 0 when everything holds and is covered by your quorum; 1 names the first thing that "
        "is wrong; 3 says how many entries no witness has covered yet.",
        room=330,
        size=8.5,
    )
    after = book.y
    _qr(book, _qr_text(manifest, bundle_sha256), RIGHT - 130, top - 134, 130)
    book.y = min(after, top - 142) - 10
    _facts(book, manifest, proof, bundle_sha256)
    _checkpoint(book, proof)


def _qr_text(manifest: Manifest, bundle_sha256: str) -> str:
    where = manifest.chosen("verify_url") or "python -m audit.verify FILE.pdf --policy POLICY"
    return f"{where}\n{manifest.origin}\n{manifest.size}\n{manifest.root.hex()}\n{bundle_sha256}"


def _facts(book: Book, manifest: Manifest, proof: Proof, bundle_sha256: str) -> None:
    cosigned = (
        ", ".join(proof.cosigners) if proof.cosigners else "none: this size was not witnessed when it was exported"
    )
    rows = (
        ("Log", manifest.origin),
        ("Size", f"{manifest.size:,} entries"),
        ("Root", manifest.root.hex()),
        ("Bundle SHA-256", bundle_sha256),
        ("Entries here", f"{manifest.entries:,}"),
        ("Checkpoints here", f"{proof.checkpoints:,}"),
        ("Exported", moment(manifest.made_at)),
        ("Cosigned, as claimed", cosigned),
    )
    for label, said in rows:
        for number, line in enumerate(wrap(visible(said, MONO), MONO, 7.5, RIGHT - LEFT - 120)):
            book.need(13)
            book.y -= 13
            if number == 0:
                book.text(LEFT, book.y, label, TEXT, 8.5, QUIET)
            book.text(LEFT + 120, book.y, line, MONO, 7.5, INK)


def _checkpoint(book: Book, proof: Proof) -> None:
    book.y -= 22
    book.text(LEFT, book.y, "The newest checkpoint, as the bundle carries it", BOLD, 10, BRAND)
    book.y -= 6
    book.paragraph("As claimed: verify it with your own policy file.", size=8.5, colour=QUIET)
    if proof.newest is None:
        book.paragraph("The bundle carries no checkpoint.")
        return
    book.y -= 6
    text = proof.newest.note.decode("utf-8", "replace").rstrip("\n")
    lines = [line for part in text.split("\n") for line in wrap(visible(part, MONO), MONO, 6.8, RIGHT - LEFT - 20)]
    for line in lines:
        book.need(10)
        book.box(LEFT, book.y - 10, RIGHT - LEFT, 10.2, SOFT)
        book.text(LEFT + 10, book.y - 7.5, line, MONO, 6.8, INK)
        book.y -= 10


@lru_cache(maxsize=8)
def _modules(text: str) -> tuple[tuple[bool, ...], ...]:
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    size = code.getModuleCount()
    return tuple(tuple(bool(code.isDark(row, column)) for column in range(size)) for row in range(size))


def _qr(book: Book, text: str, x: float, y: float, side: float) -> None:
    rows = _modules(text)
    cell = side / len(rows)
    for number, row in enumerate(rows):
        start = None
        for place, dark in enumerate((*row, False)):
            if dark and start is None:
                start = place
            elif not dark and start is not None:
                book.box(x + start * cell, y + side - (number + 1) * cell, (place - start) * cell, cell + 0.05, INK)
                start = None
