"""The sheets of a report: one place that puts text, lines and boxes on pages, and pages into a file.

The rules
 * Same bundle, same bytes: no clock, no random names; the time in the file is the one handed in.
 * Pages are laid aside on disk as they fill, and the file is written object by object: memory does not grow with what
   is on the pages. "Page x of y" and the bundle's digest are added when the number of pages is known.
 * The text of a page is every string in the order it is drawn, without white space; its SHA-256 goes into `pages.json`,
   which with a signed note and the bundle travels inside the file (audit/README.md 9).
 * reportlab lays out fonts and objects. Content streams are written here, because a text object per line is what makes
   reportlab's own canvas slow.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO

from reportlab.pdfbase import pdfdoc
from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream, PDFString

from audit.reports import fonts

WIDTH, HEIGHT = 595.28, 841.89
LEFT, RIGHT, TOP, BOTTOM = 48.0, 547.28, 786.0, 58.0
INK, QUIET, RULE, BRAND = "0.09 0.14 0.18", "0.32 0.38 0.42", "0.85 0.88 0.9", "0.04 0.36 0.48"
SOFT, TINT, ALARM, MARK, GOOD = "0.96 0.97 0.98", "0.9 0.95 0.96", "0.63 0.11 0.07", "0.36 0.25 0.55", "0.14 0.4 0.25"
MARK_SOFT, ALARM_SOFT, WHITE, BAND = "0.94 0.92 0.97", "0.99 0.92 0.92", "1 1 1", "0.89 0.95 0.91"
_KEPT_IN_MEMORY = 1024 * 1024
_COMPRESSION = 6
_CARRIED = {
    "bundle.zip": "The record this report is drawn from",
    "pages.json": "SHA-256 of the text of each page",
    "pages.note": "Who says that these pages were drawn from that bundle",
}
Note = Callable[[bytes], bytes]


class _Moment:
    """The time in the file, in the shape reportlab asks for."""

    dhh = dmm = 0
    tzname = "UTC"

    def __init__(self, at: datetime) -> None:
        self.lt = at.astimezone(UTC).timetuple()
        self.t = at.timestamp()
        self.YMDhms = tuple(self.lt)[:6]


class _Face(dict[int, str]):
    """One face in one document: characters to escaped codes of its first embedded subset, each looked up once."""

    def __init__(self, name: str, doc: Any) -> None:
        super().__init__()
        self._font, self._doc = fonts.loaded(name), doc
        self._names: dict[int, str] = {}
        self._beyond: dict[str, tuple[int, str]] = {}
        self.first = self.subset(0)

    def __missing__(self, code: int) -> str:
        ((number, raw),) = self._font.splitString(chr(code), self._doc)
        byte = raw[0]
        escaped = f"\\{byte:03o}" if byte < 32 or byte in b"()\\" else chr(byte)
        if number:
            self._beyond[chr(code)] = (number, escaped)
            escaped = ""
        self[code] = escaped
        return escaped

    def subset(self, number: int) -> str:
        """The name of an embedded subset in content streams."""
        known = self._names.get(number)
        if known is None:
            known = self._names[number] = self._font.getSubsetInternalName(number, self._doc)
        return known

    def runs(self, text: str) -> list[tuple[int, str]]:
        """The text as (subset, escaped codes), in order."""
        codes = text.translate(self)
        if not self._beyond or self._beyond.keys().isdisjoint(text):
            return [(0, codes)]
        found: list[tuple[int, list[str]]] = []
        for char in text:
            number, escaped = self._beyond.get(char) or (0, self[ord(char)])
            if not found or found[-1][0] != number:
                found.append((number, []))
            found[-1][1].append(escaped)
        return [(number, "".join(codes)) for number, codes in found]


@dataclass(frozen=True, slots=True)
class Foot:
    """What stands at the foot of every page and at its head."""

    title: str
    bundle_sha256: str
    notice: str  # "" or the label of synthetic records


class Book:
    """A report being drawn. `y` is where the next thing may stand; everything is in points from the lower left."""

    def __init__(self, foot: Foot, *, at: datetime) -> None:
        doc = self._doc = pdfdoc.PDFDocument(compression=1, invariant=1, lang="en", pdfVersion=(1, 7))
        doc._timeStamp = _Moment(at)  # noqa: SLF001  (reportlab offers no other way to state the time)
        self._page = {
            "Type": PDFName("Page"),
            "Parent": doc.Reference(doc.Pages),
            "MediaBox": PDFArray([0, 0, WIDTH, HEIGHT]),
            "Resources": PDFDictionary({"Font": pdfdoc.PDFObjectReference(pdfdoc.BasicFonts)}),
        }
        self._faces = {name: _Face(name, doc) for name in (fonts.TEXT, fonts.BOLD, fonts.MONO)}
        self._spool: IO[bytes] = SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY)  # noqa: SIM115  (closed by close())
        self._foot = foot
        self._sheets: list[tuple[int, int, Any, Any]] = []  # offset, length, hash of the text, page
        self._marks: list[tuple[str, int]] = []
        self._ops: list[str] = []
        self._texts: list[str] = []
        self._now: tuple[str, float] | None = None
        self._colour = ""
        self.y = TOP
        self._begin()

    # -- drawing ------------------------------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """The number of the page being drawn, from 1."""
        return len(self._sheets) + 1

    def text(self, x: float, y: float, text: str, face: str = fonts.TEXT, size: float = 8, colour: str = INK) -> None:
        """Draw one line of visible text with its base line at y."""
        if not text:
            return
        ops, known = self._ops, self._faces[face]
        if self._now != (face, size):
            ops.append(f"{known.first} {size:g} Tf")
            self._now = (face, size)
        if self._colour != colour:
            ops.append(f"{colour} rg")
            self._colour = colour
        self._texts.append(text)
        runs = known.runs(text)
        if len(runs) == 1 and runs[0][0] == 0:
            ops.append(f"BT 1 0 0 1 {x:.2f} {y:.2f} Tm ({runs[0][1]}) Tj ET")
            return
        ops.append(f"BT 1 0 0 1 {x:.2f} {y:.2f} Tm")
        ops.extend(f"{known.subset(number)} {size:g} Tf ({codes}) Tj" for number, codes in runs)
        ops.append("ET")
        self._now = None

    def right(self, x: float, y: float, text: str, face: str = fonts.TEXT, size: float = 8, colour: str = INK) -> None:
        """Draw one line that ends at x."""
        self.text(x - fonts.width(text, face, size), y, text, face, size, colour)

    def box(self, x: float, y: float, wide: float, high: float, fill: str) -> None:
        """A filled rectangle from its lower left corner."""
        self._ops.append(f"{fill} rg {x:.2f} {y:.2f} {wide:.2f} {high:.2f} re f")
        self._colour = fill

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = RULE, wide: float = 0.6, dash: str = ""
    ) -> None:
        """A line through the points."""
        (x, y), *rest = points
        path = " ".join(f"{a:.2f} {b:.2f} l" for a, b in rest)
        self._ops.append(f"[{dash}] 0 d {colour} RG {wide:g} w {x:.2f} {y:.2f} m {path} S")

    def outline(self, x: float, y: float, wide: float, high: float, colour: str = RULE) -> None:
        """A rectangle's outline."""
        self._ops.append(f"[] 0 d {colour} RG 0.6 w {x:.2f} {y:.2f} {wide:.2f} {high:.2f} re S")

    # -- flowing ------------------------------------------------------------------------------------------------------

    def paragraph(
        self,
        text: str,
        *,
        x: float = LEFT,
        room: float = RIGHT - LEFT,
        face: str = fonts.TEXT,
        size: float = 9,
        colour: str = INK,
    ) -> None:
        """Wrapped text from the present place downward, over pages where it must."""
        for line in fonts.wrap(fonts.visible(text), face, size, room):
            self.need(size * 1.45)
            self.y -= size * 1.45
            self.text(x, self.y, line, face, size, colour)

    def heading(self, text: str, *, keep: float = 60, mark: bool = True) -> None:
        """A section's heading with at least `keep` points of what follows on the same page."""
        self.need(34 + keep)
        if self.y < TOP - 1:
            self.y -= 12
        self.y -= 15
        if mark:
            self._marks.append((text, len(self._sheets)))
        self.text(LEFT, self.y, text, fonts.BOLD, 13, BRAND)
        self.y -= 6
        self.line([(LEFT, self.y), (RIGHT, self.y)], BRAND, 0.8)
        self.y -= 6

    def need(self, high: float) -> bool:
        """Begin another page unless `high` points are left; whether it did."""
        if self.y - high >= BOTTOM:
            return False
        self.turn()
        return True

    def turn(self) -> None:
        """Lay the page aside and begin the next."""
        self._lay_aside()
        self._begin()

    def _begin(self) -> None:
        self._ops, self._texts, self._now, self._colour = [], [], None, ""
        self.y = TOP
        foot = self._foot
        self.text(LEFT, 806, "ClinAIOps", fonts.BOLD, 8, BRAND)
        self.text(LEFT + 54, 806, foot.title, fonts.TEXT, 8, QUIET)
        if foot.notice:
            wide = fonts.width(foot.notice, fonts.BOLD, 7.5) + 14
            self.box(RIGHT - wide, 801, wide, 14, MARK_SOFT)
            self.text(RIGHT - wide + 7, 805.5, foot.notice, fonts.BOLD, 7.5, MARK)
        self.line([(LEFT, 797), (RIGHT, 797)])

    def _lay_aside(self) -> None:
        said = sha256("".join("".join(self._texts).split()).encode())
        body = "\n".join(self._ops).encode("latin-1")
        at = self._spool.tell()
        self._spool.write(body)
        page = PDFDictionary(self._page)
        self._doc.addPage(page)
        self._sheets.append((at, len(body), said, page))

    # -- writing ------------------------------------------------------------------------------------------------------

    def save(self, out: BinaryIO, *, bundle: BinaryIO, subject: str, note: Note | None) -> tuple[str, ...]:
        """Write the file with the bundle and the page digests inside; returns the digest of each page's text.

        `note` turns `pages.json` into the signed note that travels with it; without one the file carries none.
        """
        self._lay_aside()
        digests = tuple(self._finish(number) for number in range(len(self._sheets)))
        doc = self._doc
        kept = {"bundle_sha256": self._foot.bundle_sha256, "pages": list(digests)}
        listing = json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()
        carried = [("bundle.zip", bundle, "application#2Fzip"), ("pages.json", BytesIO(listing), "application#2Fjson")]
        if note is not None:
            carried.append(("pages.note", BytesIO(note(listing)), "text#2Fplain"))
        _attach(doc, carried)
        _outline(doc, self._marks, [sheet[3] for sheet in self._sheets])
        info = doc.info
        info.title, info.author, info.creator = self._foot.title, "ClinAIOps", "ClinAIOps audit.reports"
        info.subject, info.keywords, info.producer = subject, f"bundle SHA-256 {self._foot.bundle_sha256}", "reportlab"
        for font in doc.delayedFonts:
            font.addObjects(doc)
        info.invariant = 1
        known = f"<{self._foot.bundle_sha256[:32]}>"
        doc._ID = f"[{known}{known}]".encode()  # noqa: SLF001  (reportlab's own would follow the environment)
        _write(doc, out)
        return digests

    def close(self) -> None:
        """Give back the disk space of the pages laid aside."""
        self._spool.close()

    def _finish(self, index: int) -> str:
        """The foot of a page, now that the number of pages is known."""
        at, length, said, page = self._sheets[index]
        small, mono = self._faces[fonts.TEXT].first, self._faces[fonts.MONO].first
        number = f"Page {index + 1} of {len(self._sheets)}"
        digest = f"bundle SHA-256 {self._foot.bundle_sha256}"
        x = RIGHT - fonts.width(number, fonts.TEXT, 7.5)
        foot = (
            f"\n[] 0 d {RULE} RG 0.6 w {LEFT} 46 m {RIGHT} 46 l S\n{QUIET} rg {mono} 6 Tf\n"
            f"BT 1 0 0 1 {LEFT:.2f} 35.00 Tm ({digest}) Tj ET\n{small} 7.5 Tf\n"
            f"BT 1 0 0 1 {x:.2f} 35.00 Tm ({number}) Tj ET\n"
        )
        said.update("".join(f"{digest}{number}".split()).encode())
        page["Contents"] = self._doc.Reference(_LaidAside(self._spool, at, length, foot.encode("latin-1")))
        return str(said.hexdigest())


class _LaidAside(PDFStream):  # type: ignore[misc]  # reportlab has no types
    """A page's content, read back when the file is written and forgotten again."""

    def __init__(self, spool: IO[bytes], at: int, length: int, foot: bytes) -> None:
        super().__init__()
        self._where = (spool, at, length, foot)

    def format(self, document: Any) -> bytes:
        """The stream object."""
        spool, at, length, foot = self._where
        spool.seek(at)
        packed = zlib.compress(spool.read(length) + foot, _COMPRESSION)
        return b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\n" % (len(packed), packed)


class _Carried(PDFStream):  # type: ignore[misc]
    """A file carried inside, copied in pieces when its turn comes."""

    def __init__(self, source: BinaryIO, kind: str) -> None:
        super().__init__()
        source.seek(0, 2)
        self.source, self.size, self.kind = source, source.tell(), kind

    def head(self) -> bytes:
        """What stands before the bytes."""
        said = f"<< /Type /EmbeddedFile /Subtype /{self.kind} /Params << /Size {self.size} >> /Length {self.size} >>"
        return said.encode() + b"\nstream\n"


def _attach(doc: Any, carried: Sequence[tuple[str, BinaryIO, str]]) -> None:
    names, files = [], []
    for name, source, kind in carried:
        inside = doc.Reference(_Carried(source, kind), f"carried:{name}")
        spec = PDFDictionary(
            {
                "Type": PDFName("Filespec"),
                "F": PDFString(name),
                "UF": PDFString(name),
                "EF": PDFDictionary({"F": inside, "UF": inside}),
                "AFRelationship": PDFName("Source" if name == "bundle.zip" else "Supplement"),
                "Desc": PDFString(_CARRIED[name]),
            }
        )
        names.append(PDFString(name))
        names.append(doc.Reference(spec, f"spec:{name}"))
        files.append(names[-1])
    doc.Catalog.Names = PDFDictionary({"EmbeddedFiles": PDFDictionary({"Names": PDFArray(names)})})
    doc.Catalog.AF = PDFArray(files)
    doc.Catalog.__NoDefault__ = [*doc.Catalog.__NoDefault__, "AF"]


def _outline(doc: Any, marks: Sequence[tuple[str, int]], pages: Sequence[Any]) -> None:
    """The table of contents a reader's program shows beside the pages."""
    doc.Catalog.Outlines = None
    if not marks:
        return
    top = PDFDictionary({"Type": PDFName("Outlines"), "Count": len(marks)})
    above = doc.Reference(top, "contents")
    items = [PDFDictionary({"Title": PDFString(title), "Parent": above}) for title, _ in marks]
    places = [doc.Reference(item, f"contents.{number}") for number, item in enumerate(items)]
    for number, (item, (_, page)) in enumerate(zip(items, marks, strict=True)):
        item["Dest"] = PDFArray([doc.Reference(pages[page]), PDFName("Fit")])
        if number:
            item["Prev"] = places[number - 1]
        if number + 1 < len(items):
            item["Next"] = places[number + 1]
    top["First"], top["Last"] = places[0], places[-1]
    doc.Catalog.Outlines = above
    doc.Catalog.PageMode = PDFName("UseOutlines")


def _write(doc: Any, out: BinaryIO) -> None:
    """Every object in the order of its number, then the table of places: as reportlab does, without holding it all."""
    doc.encrypt.prepare(doc)
    root, info = doc.Reference(doc.Catalog), doc.Reference(doc.info)
    place = out.write(b"%PDF-1.7\n%\x93\x8c\x8b\x9e clinaiops\n")
    number, ids = 0, []
    while (number := number + 1) in doc.numberToId:
        name = doc.numberToId[number]
        thing = doc.idToObject[name]
        doc.idToOffset[name] = place
        ids.append(name)
        if isinstance(thing, _Carried):
            place += out.write(f"{number} 0 obj\n".encode() + thing.head())
            thing.source.seek(0)
            shutil.copyfileobj(thing.source, out, 1 << 20)
            place += thing.size + out.write(b"\nendstream\nendobj\n")
        else:
            place += out.write(pdfdoc.PDFIndirectObject(name, thing).format(doc))
    table = pdfdoc.PDFCrossReferenceTable()
    table.addsection(0, ids)
    out.write(table.format(doc))
    trailer = pdfdoc.PDFTrailer(startxref=place, Size=number, Root=root, Info=info, Encrypt=None, ID=doc.ID())
    out.write(trailer.format(doc))
