"""A report as a PDF: the bundle it carries, and whether its pages say what was drawn (README 9, step V16).

The rules
 * The attachments are exactly `bundle.zip`, `pages.json` and `pages.note`, each once. The caller verifies the note
   under the statement key and the bundle as any other; nothing here trusts a key.
 * The text of a page is read back from its content by the embedded fonts' own tables. What could cover text without
   being text (images, forms, annotations other than the unseen signature) condemns the page.
 * A page unpacks to at most 16 MiB, a report has at most 200,000 pages, and all together unpack to at most 50 times
   the file (or 64 MiB): a hostile file is refused by name, in time that grows with its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Any, BinaryIO, Self

from audit.verify.pdf_signature import check_signature
from audit.verify.pdf_syntax import Document, Lexer, Name, Ref, Stream, Word, unreadable
from audit.verify.spelling import Refused, Wrong, parse

ATTACHMENTS = ("bundle.zip", "pages.json", "pages.note")
MAX_PAGES, MAX_PAGE, MAX_FONT, MAX_FONTS = 200_000, 16 << 20, 1 << 20, 256
MAX_BUNDLE, MAX_LISTING, MAX_NOTE = 64 << 30, 32 << 20, 1_000_000
_HEX64 = re.compile(r"[0-9a-f]{64}")
_BFCHAR = re.compile(rb"beginbfchar(.*?)endbfchar", re.DOTALL)
_BFRANGE = re.compile(rb"beginbfrange(.*?)endbfrange", re.DOTALL)
_PAIR = re.compile(rb"<([0-9A-Fa-f]{2,4})>\s*<([0-9A-Fa-f]{4,32})>")
_THREE = re.compile(rb"<([0-9A-Fa-f]{2,4})>\s*<([0-9A-Fa-f]{2,4})>\s*<([0-9A-Fa-f]{4})>")
_DRAWN_OVER = frozenset({"Do", "BI", "sh", "gs", "Tr", "W", "W*"})
_SHOWS = frozenset({"Tj", "TJ", "'", '"'})


@dataclass(frozen=True, slots=True)
class Listing:
    """What `pages.json` says."""

    bundle_sha256: str
    pages: tuple[str, ...]


def squeezed(text: str) -> str:
    """Text without white space, as the digests take it."""
    return "".join(text.split())


class Report:
    """An open report. Raises Refused for what cannot be used, Wrong (V16) for what does not hold."""

    def __init__(self, file: BinaryIO) -> None:
        self.document = Document(file)
        try:
            self._catalog = self.document.dictionary(self.document.trailer.get("Root"))
            self._carried = self._attachments()
        except BaseException:
            self.document.close()
            raise
        self._fonts: dict[int, dict[int, str]] = {}
        self._budget = max(64 << 20, 50 * self.document.size)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        """Let go of the file."""
        self.document.close()

    # -- what it carries ----------------------------------------------------------------------------------------------

    def extract_bundle(self, out: BinaryIO) -> str:
        """Copy `bundle.zip` to `out`; its SHA-256 in hex."""
        digest = sha256()
        for piece in self.document.unpacked(self._carried["bundle.zip"], MAX_BUNDLE):
            digest.update(piece)
            out.write(piece)
        return digest.hexdigest()

    @property
    def listing_bytes(self) -> bytes:
        """`pages.json` as it is carried: what `pages.note` speaks of."""
        return b"".join(self.document.unpacked(self._carried["pages.json"], MAX_LISTING))

    @property
    def note(self) -> bytes:
        """`pages.note`: by whom these pages were drawn from that bundle."""
        return b"".join(self.document.unpacked(self._carried["pages.note"], MAX_NOTE))

    def listing(self) -> Listing:
        """`pages.json`, in its one spelling."""
        said = parse(self.listing_bytes, "pdf-attachments")
        if type(said) is not dict or said.keys() != {"bundle_sha256", "pages"} or type(said["pages"]) is not list:
            raise Refused("pdf-attachments", "pages.json has other members")
        if not all(type(each) is str and _HEX64.fullmatch(each) for each in (said["bundle_sha256"], *said["pages"])):
            raise Refused("pdf-attachments", "pages.json has no digests")
        return Listing(said["bundle_sha256"], tuple(said["pages"]))

    def _attachments(self) -> dict[str, Stream]:
        document = self.document
        try:
            names = document.dictionary(self._catalog.get("Names"))
            held = document.get(document.dictionary(names.get("EmbeddedFiles")).get("Names"))
            if not isinstance(held, list) or len(held) != 2 * len(ATTACHMENTS):
                raise Refused("pdf-attachments", "not those of a report")
            found = {}
            for name, place in zip(held[::2], held[1::2], strict=True):
                inside = document.dictionary(document.dictionary(place).get("EF"))
                found[document.get(name).decode("ascii")] = document.stream(inside.get("F"))
        except (UnicodeDecodeError, AttributeError) as err:
            raise Refused("pdf-attachments", "names") from err
        if tuple(sorted(found)) != ATTACHMENTS:
            raise Refused("pdf-attachments", "not those of a report")
        return found

    def check_signature(self, bundle: BinaryIO) -> dict[str, str]:
        """Who signed the file, when and with which certificate, which the verified `bundle` names; raises Wrong."""
        signature = check_signature(self.document, bundle)
        return {"certificate_sha256": signature.certificate_sha256, "name": signature.name, "at": signature.at}

    # -- its pages ----------------------------------------------------------------------------------------------------

    def check_pages(self, listing: Listing, *, bundle_sha256: str) -> int:
        """How many pages there are, each with the text that was drawn and the bundle's digest on it; raises Wrong."""
        if listing.bundle_sha256 != bundle_sha256:
            raise Wrong("V16", "pdf-bundle", "the pages were drawn from another bundle")
        count = 0
        for count, text in enumerate(self.texts(), start=1):
            if count > len(listing.pages):
                raise Wrong("V16", "pdf-pages", f"more than {len(listing.pages)} pages")
            if sha256(text.encode("utf-8", "surrogatepass")).hexdigest() != listing.pages[count - 1]:
                raise Wrong("V16", "pdf-page", f"page {count} says something else than was drawn")
            if bundle_sha256 not in text:
                raise Wrong("V16", "pdf-page", f"page {count} does not name the bundle")
        if count != len(listing.pages):
            raise Wrong("V16", "pdf-pages", f"{count} pages, {len(listing.pages)} were drawn")
        return count

    def texts(self) -> Iterator[str]:
        """The text of each page in order, without white space."""
        for number, page in enumerate(self._pages(), start=1):
            self._only_unseen_signature(page, number)
            yield squeezed(self._text(page, number))

    def _pages(self) -> Iterator[dict[str, Any]]:
        """The leaves of the page tree. A page that inherits what it draws with is none of ours."""
        waiting, seen, count = [self._catalog.get("Pages")], set[int](), 0
        while waiting:
            place = waiting.pop()
            if type(place) is not Ref or place.number in seen:
                raise unreadable("the tree of pages")
            seen.add(place.number)
            page = self.document.dictionary(place)
            kind = self.document.get(page.get("Type"))
            if kind == "Pages":
                kids = self.document.get(page.get("Kids"))
                if not isinstance(kids, list):
                    raise unreadable("the tree of pages")
                waiting.extend(reversed(kids))
            elif kind == "Page":
                count += 1
                if count > MAX_PAGES:
                    raise unreadable("too many pages")
                yield page
            else:
                raise unreadable("the tree of pages")

    def _only_unseen_signature(self, page: dict[str, Any], number: int) -> None:
        notes = self.document.get(page.get("Annots")) or []
        for each in notes if isinstance(notes, list) else [notes]:
            said = self.document.dictionary(each)
            rect = self.document.get(said.get("Rect"))
            if said.get("FT") != "Sig" or said.get("Subtype") != "Widget" or rect != [0, 0, 0, 0]:
                raise Wrong("V16", "pdf-page", f"page {number} has something laid over it")

    def _text(self, page: dict[str, Any], number: int) -> str:
        contents = self.document.get(page.get("Contents"))
        parts = contents if isinstance(contents, list) else [contents]
        body = bytearray()
        for part in parts:
            for piece in self.document.unpacked(self.document.stream(part), MAX_PAGE):
                body += piece
                self._budget -= len(piece)
                if len(body) > MAX_PAGE or self._budget < 0:
                    raise unreadable("the pages are too long")
            body += b"\n"
        fonts = self._named_fonts(page)
        shown = _Shown(fonts, number)
        lexer = Lexer(bytes(body))
        while not lexer.done():
            shown.take(lexer.value())
        return "".join(shown.parts)

    def _named_fonts(self, page: dict[str, Any]) -> dict[str, dict[int, str]]:
        resources = self.document.dictionary(page.get("Resources"))
        held = resources.get("Font")
        named = self.document.dictionary(held) if held is not None else {}
        if len(named) > MAX_FONTS:
            raise unreadable("too many fonts")
        return {name: self._letters(place) for name, place in named.items()}

    def _letters(self, place: Any) -> dict[int, str]:
        """What the codes of a font mean; kept by object."""
        number = place.number if type(place) is Ref else None
        if number is not None and number in self._fonts:
            return self._fonts[number]
        font = self.document.dictionary(place)
        table = font.get("ToUnicode")
        letters: dict[int, str] = {}
        if table is not None:
            letters = _cmap(b"".join(self.document.unpacked(self.document.stream(table), MAX_FONT)))
        if number is None:
            number = -1 - len(self._fonts)
        if len(self._fonts) >= MAX_FONTS:
            raise unreadable("too many fonts")
        self._fonts[number] = letters
        return letters


@dataclass(slots=True)
class _Shown:
    """The strings a page shows, in order."""

    fonts: dict[str, dict[int, str]]
    page: int
    parts: list[str] = field(default_factory=list)
    _held: list[Any] = field(default_factory=list)
    _letters: dict[int, str] = field(default_factory=dict)

    def take(self, value: Any) -> None:
        """One operand or operator."""
        if type(value) is not Word:
            self._held.append(value)
            if len(self._held) > 64:
                raise unreadable("too many operands")
            return
        operands, self._held = self._held, []
        if value in _DRAWN_OVER:
            raise Wrong("V16", "pdf-page", f"page {self.page} draws more than text, lines and boxes ({value})")
        if value == "Tf":
            if not operands or type(operands[0]) is not Name or operands[0] not in self.fonts:
                raise unreadable("a font that is not there")
            self._letters = self.fonts[operands[0]]
        elif value in _SHOWS:
            shown = operands[-1] if operands else b""
            for piece in shown if isinstance(shown, list) else [shown]:
                if isinstance(piece, bytes):
                    self.parts.extend(self._letters.get(code, "\ufffd") for code in piece)


def _cmap(table: bytes) -> dict[int, str]:
    """Code to text, from a font's ToUnicode table."""
    letters: dict[int, str] = {}
    for block in _BFCHAR.findall(table):
        for code, said in _PAIR.findall(block):
            letters[int(code, 16)] = _utf16(said)
    for block in _BFRANGE.findall(table):
        for low, high, said in _THREE.findall(block):
            for code in range(int(low, 16), min(int(high, 16), int(low, 16) + 255) + 1):
                letters[code] = chr(min(int(said, 16) + code - int(low, 16), 0xFFFF))
    return letters


def _utf16(said: bytes) -> str:
    return bytes.fromhex(said.decode()).decode("utf-16-be", "replace") if len(said) % 4 == 0 else "\ufffd"
