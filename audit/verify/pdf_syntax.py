"""The objects of a PDF, read strictly and within bounds: as much of the format as a report of ours uses, and no more.

The rules
 * Classic cross-reference tables, a chain of at most 16 revisions, at most a million objects. No object streams, no
   encryption. Anything else is `pdf-unreadable`: an honest report never needs it.
 * Nothing is guessed or repaired. Every value has a depth, a number of parts and a place inside the file; a stream
   unpacks to no more than the caller allows.
"""

from __future__ import annotations

import mmap
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from audit.verify.spelling import Refused

MAX_REVISIONS, MAX_OBJECTS, MAX_DEPTH, MAX_PARTS = 16, 1_000_000, 24, 4_000_000
CHUNK = 1 << 16
_SPACE = rb"[\x00\t\n\f\r ]*+(?:%[^\r\n]*+[\x00\t\n\f\r ]*+)*+"
_TOKEN = re.compile(
    _SPACE + rb"(?:(?P<ref>\d{1,10}[ \r\n]+\d{1,5}[ \r\n]+R(?![A-Za-z0-9]))"
    rb"|(?P<number>[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20}))"
    rb"|/(?P<name>[^\x00\t\n\f\r ()<>\[\]{}/%]{0,255})"
    rb"|(?P<open><<|\[)|(?P<close>>>|\])|(?P<hex><[0-9A-Fa-f\x00\t\n\f\r ]*>)|(?P<text>\()"
    rb"|(?P<word>[A-Za-z'\"*][A-Za-z0-9*]{0,30}))"
)
_HEAD = re.compile(_SPACE + rb"(\d{1,10})[ \r\n]+(\d{1,5})[ \r\n]+obj\b")
_STREAM = re.compile(_SPACE + rb"stream(?:\r\n|\n)")
_END = re.compile(rb"[\r\n ]{0,2}endstream\b")
_INSIDE = re.compile(rb"[()\\]")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"(": b"(", b")": b")", b"\\": b"\\"}
_WORDS = {"true": True, "false": False, "null": None}


class Name(str):
    """A name; words of a content stream are `Word`."""

    __slots__ = ()


class Word(str):
    """An operator."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ref:
    """Points at an object by number."""

    number: int


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: what its dictionary says, and where its bytes lie in the file."""

    said: dict[str, Any]
    start: int
    length: int


def unreadable(detail: str) -> Refused:
    """The refusal of a file that is no report of ours."""
    return Refused("pdf-unreadable", detail)


@dataclass(slots=True)
class Lexer:
    """Values from a buffer, one after the other; `at` is where the next one is looked for."""

    data: Any
    at: int = 0
    parts: int = 0
    _depth: int = field(default=0)

    def value(self) -> Any:
        """The next value or word; raises Refused. Ends with None when nothing is left."""
        match = _TOKEN.match(self.data, self.at)
        if match is None:
            raise unreadable(f"no value at {self.at}")
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise unreadable("too many parts")
        self.at = match.end()
        return self._made(str(match.lastgroup), match)

    def _made(self, kind: str, match: re.Match[bytes]) -> Any:
        said = match.group(kind)
        match kind:
            case "ref":
                return Ref(int(said.split()[0]))
            case "number":
                return float(said) if b"." in said else int(said)
            case "name":
                return Name(re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), said).decode("latin-1"))
            case "hex":
                digits = re.sub(rb"[^0-9A-Fa-f]", b"", said)
                return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
            case "text":
                return self._text()
            case "open":
                return self._held(said)
            case "word":
                word = said.decode()
                return _WORDS[word] if word in _WORDS else Word(word)
            case _:
                return said

    def _held(self, opened: bytes) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise unreadable("nested too deep")
        closed, items = (b">>" if opened == b"<<" else b"]"), []
        while True:
            item = self.value()
            if item in (b">>", b"]") and type(item) is bytes and self.data[self.at - len(item) : self.at] == item:
                if item != closed:
                    raise unreadable("brackets do not match")
                break
            items.append(item)
        self._depth -= 1
        if opened == b"[":
            return items
        if len(items) % 2 or not all(type(key) is Name for key in items[::2]):
            raise unreadable("a dictionary without pairs")
        found = dict(zip(map(str, items[::2]), items[1::2], strict=True))
        if len(found) * 2 != len(items):
            raise unreadable("a key twice")
        return found

    def _text(self) -> bytes:
        parts, start, depth = [], self.at, 1
        while True:
            match = _INSIDE.search(self.data, self.at)
            if match is None:
                raise unreadable("a string without an end")
            sign, self.at = match.group(), match.end()
            if sign == b"\\":
                parts.append(self.data[start : match.start()])
                parts.append(self._escaped())
                start = self.at
                continue
            depth += 1 if sign == b"(" else -1
            if depth == 0:
                parts.append(self.data[start : match.start()])
                return b"".join(parts)

    def _escaped(self) -> bytes:
        char = bytes(self.data[self.at : self.at + 1])
        octal = re.compile(rb"[0-7]{1,3}").match(self.data, self.at)
        if octal is not None:
            self.at = octal.end()
            return bytes([int(octal.group(), 8) & 0xFF])
        self.at += 1
        if char == b"\r" and self.data[self.at : self.at + 1] == b"\n":
            self.at += 1
        return _ESCAPES.get(char, b"" if char in (b"\r", b"\n") else char)

    def done(self) -> bool:
        """Whether only space is left."""
        match = re.compile(_SPACE).match(self.data, self.at)
        return match is not None and match.end() == len(self.data)


class Document:
    """A PDF in a file; close it after use."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0, 2)
        self.size = file.tell()
        if self.size < 64:
            raise unreadable("too short")
        self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            if self.data[:5] != b"%PDF-":
                raise unreadable("does not begin as a PDF")
            self._places: dict[int, int] = {}
            self.trailer: dict[str, Any] = {}
            self._tables()
        except BaseException:
            self.data.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self.data.close()

    def get(self, value: Any) -> Any:
        """The value, or the object it points at."""
        for _ in range(MAX_DEPTH):
            if type(value) is not Ref:
                return value
            value = self.object(value.number)
        raise unreadable("references in a circle")

    def dictionary(self, value: Any) -> dict[str, Any]:
        """A dictionary, followed to its object."""
        found = self.get(value)
        if not isinstance(found, dict):
            raise unreadable("something is not a dictionary")
        return found

    def stream(self, value: Any) -> Stream:
        """A stream, followed to its object."""
        found = self.get(value)
        if not isinstance(found, Stream):
            raise unreadable("something is not a stream")
        return found

    def object(self, number: int) -> Any:
        """The object of that number in the newest revision; one that is not there is null."""
        place = self._places.get(number)
        if place is None:
            return None
        head = _HEAD.match(self.data, place)
        if head is None or int(head.group(1)) != number:
            raise unreadable(f"object {number} is not where it should be")
        lexer = Lexer(self.data, head.end())
        value = lexer.value()
        opened = _STREAM.match(self.data, lexer.at) if isinstance(value, dict) else None
        if opened is None:
            return value
        length = value.get("Length")
        if type(length) is Ref and length.number != number:
            length = self.object(length.number)
        if type(length) is not int or not 0 <= length <= self.size - opened.end():
            raise unreadable(f"the length of stream {number}")
        if _END.match(self.data, opened.end() + length) is None:
            raise unreadable(f"stream {number} does not end where it says")
        return Stream(value, opened.end(), length)

    def unpacked(self, stream: Stream, most: int) -> Iterator[bytes]:
        """The bytes of a stream, stored or deflated, never more than `most`."""
        filters = self.get(stream.said.get("Filter"))
        names = [filters] if isinstance(filters, Name) else filters or []
        if [str(name) for name in names] not in ([], ["FlateDecode"]) or stream.said.get("DecodeParms") is not None:
            raise unreadable("packed in another way")
        inflate = zlib.decompressobj() if names else None
        total = 0
        for at in range(stream.start, stream.start + stream.length, CHUNK):
            piece = self.data[at : min(at + CHUNK, stream.start + stream.length)]
            while piece:
                out = piece if inflate is None else _inflated(inflate, piece)
                piece = b"" if inflate is None else inflate.unconsumed_tail
                total += len(out)
                if total > most:
                    raise unreadable("unpacks to too much")
                yield out
        if inflate is not None and not inflate.eof:
            raise unreadable("a stream ends too early")

    def places(self) -> dict[int, int]:
        """Where each object stands in the newest revision."""
        return dict(self._places)

    # -- tables -------------------------------------------------------------------------------------------------------

    def _tables(self) -> None:
        tail = self.data[max(0, self.size - 2048) :]
        found = re.search(rb"startxref[\r\n ]+(\d{1,12})[\r\n ]+%%EOF[\r\n ]*\Z", tail)
        if found is None:
            raise unreadable("no end")
        place, seen = int(found.group(1)), set[int]()
        while True:
            if place in seen or len(seen) >= MAX_REVISIONS:
                raise unreadable("too many revisions")
            seen.add(place)
            trailer = self._table(place)
            if not self.trailer:
                self.trailer = trailer
            if trailer.keys() & {"XRefStm", "Encrypt"}:
                raise unreadable("encrypted, or with hidden tables")
            previous = trailer.get("Prev")
            if previous is None:
                return
            if type(previous) is not int:
                raise unreadable("a revision before this one that is nowhere")
            place = previous

    def _table(self, place: int) -> dict[str, Any]:
        begin = re.compile(rb"[\r\n ]*xref[\r\n ]+").match(self.data, place)
        if begin is None:
            raise unreadable("no table where there should be one")
        at, section = begin.end(), re.compile(rb"(\d{1,10}) (\d{1,7})[ \r\n]+(?=\d{10} |trailer)")
        while (head := section.match(self.data, at)) is not None:
            first, count, at = int(head.group(1)), int(head.group(2)), head.end()
            if len(self._places) + count > MAX_OBJECTS or at + 20 * count > self.size:
                raise unreadable("too many objects")
            for number in range(count):
                line = self.data[at + 20 * number : at + 20 * number + 20]
                if not re.fullmatch(rb"\d{10} \d{5} [nf][ \r\n]{2}", line):
                    raise unreadable("a line of the table")
                if line[17:18] == b"n":
                    self._places.setdefault(first + number, int(line[:10]))
            at += 20 * count
        opened = re.compile(rb"[\r\n ]*trailer").match(self.data, at)
        if opened is None:
            raise unreadable("no trailer")
        trailer = Lexer(self.data, opened.end()).value()
        if not isinstance(trailer, dict):
            raise unreadable("no trailer")
        return trailer


def _inflated(inflate: Any, piece: bytes) -> bytes:
    try:
        out: bytes = inflate.decompress(piece, CHUNK)
    except zlib.error as err:
        raise unreadable("a damaged stream") from err
    if inflate.unused_data:
        raise unreadable("bytes behind a stream")
    return out
