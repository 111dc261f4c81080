"""A report for people, drawn from a bundle file alone: a view of evidence, never the evidence itself.

The rules
 * A drawing is a function of the bundle and of this release: same bundle, same bytes. The time in the file is that of
   the export as the bundle states it; no clock is read, nothing is fetched, no markup is understood.
 * Complete and readable (21 CFR 11.10(b)): every field of every entry, every signature with printed name, time and
   meaning (11.50), what was left out and why.
 * The bundle and the digests of the pages' texts travel inside the file, so that it can be checked by itself.
 * Raises `audit.bundles.BundleInvalid` for a file that is no readable bundle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from audit.bundles import Bundle, BundleInvalid
from audit.reports import closing, opening
from audit.reports.body import Progress, draw_body
from audit.reports.sheets import Book, Foot
from audit.reports.survey import survey

PAGES_CONTEXT = "clinaiops/report-pages/v1"
Sign = Callable[[bytes], bytes]
SIMULATION = "SIMULATION · SYNTHETIC PEOPLE"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A report as drawn: how many pages, the SHA-256 (hex) of each page's text and of the bundle, and its time."""

    pages: int
    page_texts: tuple[str, ...]
    bundle_sha256: str
    made_at: datetime


def draw(
    bundle: Path | BinaryIO, out: BinaryIO, *, sign: Sign | None = None, progress: Progress | None = None
) -> Drawn:
    """Draw the report of a bundle into `out`.

    `sign` turns the statement about the pages into a signed note that travels with them (audit/README.md 9); a report
    without one is for looking at, not for handing out. `progress` is told (acts drawn, acts in all) from time to time.
    """
    if isinstance(bundle, Path):
        with bundle.open("rb") as source:
            return draw(source, out, sign=sign, progress=progress)
    try:
        return _drawn(bundle, out, sign, progress)
    except RecursionError as err:
        raise BundleInvalid("too-deep") from err


def _drawn(bundle: BinaryIO, out: BinaryIO, sign: Sign | None, progress: Progress | None) -> Drawn:
    digest = _digest(bundle)
    with Bundle.open(bundle) as opened:
        manifest, at = opened.manifest, _moment(opened.manifest.made_at)
        found, proof = survey(opened), closing.proof_of(opened)
        book = Book(Foot(opening.title(manifest), digest, SIMULATION if found.synthetic else ""), at=at)
        try:
            opening.draw_title(book, manifest, found, claimed=len(proof.cosigners))
            opening.draw_glance(book, found)
            draw_body(book, opened, found, progress=progress)
            closing.draw_left_out(book, manifest, proof)
            closing.draw_words(book, found)
            closing.draw_sheet(book, manifest, proof, digest)
            texts = book.save(
                out,
                bundle=bundle,
                subject=f"{manifest.origin} {manifest.size} {manifest.root.hex()}",
                note=None if sign is None else lambda listing: sign(statement(manifest.origin, digest, listing)),
            )
        finally:
            book.close()
    return Drawn(len(texts), texts, digest, at)


def statement(origin: str, bundle_sha256: str, listing: bytes) -> bytes:
    """The text that the statement key signs about a report: which pages were drawn from which bundle."""
    lines = (PAGES_CONTEXT, origin, bundle_sha256, sha256(listing).hexdigest())
    return "".join(f"{line}\n" for line in lines).encode()


def _digest(bundle: BinaryIO) -> str:
    bundle.seek(0)
    digest = sha256()
    while chunk := bundle.read(1 << 20):
        digest.update(chunk)
    bundle.seek(0)
    return digest.hexdigest()


def _moment(stamp: str) -> datetime:
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError as err:
        raise BundleInvalid("manifest", "made_at") from err
    return at if at.tzinfo else at.replace(tzinfo=UTC)
