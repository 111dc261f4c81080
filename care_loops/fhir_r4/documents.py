"""Bytes of a file become FHIR resources, one by one. What cannot be read is named, and what follows it is still read.

The rules
 * A file is one JSON document (a resource or a Bundle of any type) or NDJSON (a document a line); gzip is told by its
   first bytes, NDJSON by its name or by its content. A byte order mark and any line ending are allowed.
 * NDJSON is read line by line and one bad line costs that line. A Bundle is held in memory whole.
 * Of a truncated gzip file the lines before the break are read, and the break is named.
 * Decimals keep their digits (no binary floating point); NaN, Infinity and numbers nobody can hold are `NOT_A_NUMBER`.
   So is what a key says that stands twice in one object and says two things.
 * An Observation contained in another resource is one like any other, known by both their ids.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import IO, Any, Final

Json = dict[str, Any]

MAX_DOCUMENT: Final = 256 * 1024 * 1024  # bytes, unpacked: a larger Bundle is an export that belongs into NDJSON
KEPT_OF_A_BAD_FILE: Final = 64 * 1024
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_LINES: Final = (".ndjson", ".jsonl")
_SAFE_DIGITS: Final = 18


class NotANumber:
    """Stands where a document has NaN, an infinity, or a number of absurd size."""

    def __repr__(self) -> str:
        return "not a number"


NOT_A_NUMBER: Final = NotANumber()


@dataclass(frozen=True, slots=True)
class Found:
    """A resource, where it stood (file and line or entry), and the `fullUrl` of its Bundle entry."""

    where: str
    resource: Json
    full_url: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that are no resource: `reason` is the name of the refusal."""

    where: str
    reason: str
    detail: str
    body: bytes


Item = Found | Unreadable


class _Damaged(Exception):
    def __init__(self, reason: str, detail: str, read: bytes) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.read = reason, detail, read


def documents(name: str, stream: IO[bytes]) -> Iterator[Item]:
    """Every resource of one file, in its order."""
    head = stream.read(2)
    stream = _rewound(stream, head)
    source: IO[bytes] = gzip.GzipFile(fileobj=stream) if head == _GZIP else stream  # type: ignore[assignment]
    plain = name.lower().removesuffix(".gz")
    if plain.endswith(_LINES):
        yield from _lines(name, source)
    else:
        yield from _whole(name, source)


def _rewound(stream: IO[bytes], head: bytes) -> IO[bytes]:
    if stream.seekable():
        stream.seek(0)
        return stream
    return BytesIO(head + stream.read())


def _lines(name: str, source: IO[bytes]) -> Iterator[Item]:
    number = 0
    try:
        while line := source.readline(MAX_DOCUMENT):
            for part in line.split(b"\r"):
                number += 1 if part.strip() else 0
                yield from _document(f"{name}:{number}", part)
    except (EOFError, gzip.BadGzipFile, zlib.error) as err:
        yield Unreadable(f"{name}:{number + 1}", _damage(err), str(err), name.encode())


def _whole(name: str, source: IO[bytes]) -> Iterator[Item]:
    try:
        data = _read_all(source)
    except _Damaged as err:
        yield Unreadable(name, err.reason, err.detail, err.read[:KEPT_OF_A_BAD_FILE] or name.encode())
        return
    if len(data) > MAX_DOCUMENT:
        yield Unreadable(name, "too_large", f"more than {MAX_DOCUMENT} bytes", data[:KEPT_OF_A_BAD_FILE])
    elif not data.removeprefix(_BOM).strip():
        yield Unreadable(name, "empty_file", "no bytes", name.encode())
    else:
        yield from _document(name, data, or_lines=True)


def _read_all(source: IO[bytes]) -> bytes:
    chunks: list[bytes] = []
    try:
        while sum(map(len, chunks)) <= MAX_DOCUMENT and (chunk := source.read(1 << 24)):
            chunks.append(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as err:
        raise _Damaged(_damage(err), str(err), b"".join(chunks)) from err
    return b"".join(chunks)


def _damage(err: Exception) -> str:
    return "truncated_gzip" if isinstance(err, EOFError) else "damaged_gzip"


def _document(where: str, data: bytes, *, or_lines: bool = False) -> Iterator[Item]:
    data = data.removeprefix(_BOM).strip()
    if not data:
        return
    loaded = _load(data)
    if not isinstance(loaded, str):
        yield from _resources(where, loaded, "")
    elif or_lines and any(_is_resource(line) for line in data.splitlines()):
        yield from _lines(where, BytesIO(data))  # NDJSON under another name
    else:
        yield Unreadable(where, loaded, "", data[:KEPT_OF_A_BAD_FILE])


def _is_resource(line: bytes) -> bool:
    return line.lstrip().startswith(b"{") and isinstance(one := _load(line), dict) and "resourceType" in one


def _load(data: bytes) -> object:
    """The parsed document, or the name of what is wrong with it (text alone is no document)."""
    try:
        loaded = json.loads(
            data.removeprefix(_BOM),
            parse_float=_decimal,
            parse_int=_whole_number,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        return "nested_too_deeply"
    except ValueError:
        return "not_json"
    return "not_fhir" if isinstance(loaded, str) else loaded


def _resources(where: str, node: object, full_url: str) -> Iterator[Item]:
    """A resource, or what a Bundle holds. Bundles in Bundles are opened too."""
    if not isinstance(node, dict) or not isinstance(node.get("resourceType"), str):
        yield Unreadable(where, "not_fhir", "no resourceType", dump(node)[:KEPT_OF_A_BAD_FILE])
        return
    if node["resourceType"] != "Bundle":
        inside = list(_contained(where, node))
        yield Found(where, _naming_members(node) if inside else node, full_url)
        yield from inside
        return
    entries = node.get("entry", [])
    if not isinstance(entries, list):
        yield Unreadable(where, "not_fhir", "entry is no list", dump(node)[:KEPT_OF_A_BAD_FILE])
        return
    for number, entry in enumerate(entries, start=1):
        place = f"{where}#{number}"
        if not isinstance(entry, dict):
            yield Unreadable(place, "not_fhir", "an entry is no object", dump(entry)[:KEPT_OF_A_BAD_FILE])
        elif "resource" in entry:
            url = entry.get("fullUrl")
            yield from _resources(place, entry["resource"], url if isinstance(url, str) else "")


def _contained(where: str, holder: Json) -> Iterator[Found]:
    """The Observations inside a resource, each with an id of its own."""
    listed = holder.get("contained")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("resourceType") == "Observation":
            named = one | {"id": _inside(holder, one.get("id"))}
            yield Found(f"{where}#contained", named if "subject" in named else named | _subject(holder), "")


def _subject(holder: Json) -> Json:
    return {"subject": holder["subject"]} if "subject" in holder else {}


def _inside(holder: Json, key: object) -> str:
    return f"{holder['resourceType']}.{holder.get('id', '')}.{key}"


def _naming_members(node: Json) -> Json:
    """The resource with its contained members named as they are known here."""
    members = node.get("hasMember")
    if not isinstance(members, list):
        return node
    return node | {"hasMember": [_named_member(node, each) for each in members]}


def _named_member(node: Json, member: object) -> object:
    written = member.get("reference") if isinstance(member, dict) else None
    if not isinstance(written, str) or not written.startswith("#"):
        return member
    return {"reference": f"Observation/{_inside(node, written[1:])}"}


def dump(node: object) -> bytes:
    """A resource as JSON bytes for keeping: ASCII only, keys sorted, so that the same content has the same bytes."""
    return json.dumps(node, sort_keys=True, default=_plain, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def _object(pairs: list[tuple[str, Any]]) -> Json:
    """An object; where a key stands twice and says two things, neither is believed."""
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = {key for key, value in pairs if made[key] != value}
        made |= dict.fromkeys(twice, NOT_A_NUMBER)
    return made


def _decimal(text: str) -> Decimal | NotANumber:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return NOT_A_NUMBER
    return value if value.is_finite() else NOT_A_NUMBER


def _whole_number(text: str) -> int | Decimal | NotANumber:
    return int(text) if len(text) <= _SAFE_DIGITS else _decimal(text)


def _constant(_: str) -> NotANumber:
    return NOT_A_NUMBER
