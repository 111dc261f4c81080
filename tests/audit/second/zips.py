"""A zip read from its bytes: the members one after another from the first byte to the last (section 7)."""

from __future__ import annotations

import struct
import zlib

from .verdict import Unusable

MEMBERS = (
    "assertions.jsonl",
    "batches.jsonl",
    "checkpoints.jsonl",
    "entries.jsonl",
    "heads.jsonl",
    "manifest.json",
    "manifest.note",
    "payloads.jsonl",
    "rest.jsonl",
)
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
MOST, RATIO, FREE = 16 << 30, 200, 1 << 20


def members(data: bytes) -> dict[str, bytes]:
    """Every member by name.

    :raises Unusable: by the classes of section 10
    """
    if len(data) < 22 or data[-22:-18] != END:
        raise Unusable("not-a-zip")
    disk, start_disk, here, count, length, start, comment = struct.unpack("<HHHHIIH", data[-18:])
    if comment or length > 4096:
        raise Unusable("not-a-zip")
    if (disk, start_disk) != (0, 0) or here != count:
        raise Unusable("zip-damaged")
    if start + length != len(data) - 22:
        raise Unusable("zip-overlap")
    found, at, expected, total = {}, start, 0, 0
    names = []
    for _ in range(count):
        record, at = _central(data, at, len(data) - 22)
        names.append(record[0])
        found[record[0]], expected, total = _member(data, record, expected, total)
    if tuple(names) != MEMBERS:
        raise Unusable("zip-members")
    if at != len(data) - 22 or expected != start:
        raise Unusable("zip-overlap")
    return found


_Record = tuple[str, int, int, int, int, int, int]


def _central(data: bytes, at: int, end: int) -> tuple[_Record, int]:
    if at + 46 > end or data[at : at + 4] != CENTRAL:
        raise Unusable("zip-damaged")
    flags, method = struct.unpack_from("<HH", data, at + 8)
    crc, packed, size, name_length, extra, comment = struct.unpack_from("<IIIHHH", data, at + 16)
    (offset,) = struct.unpack_from("<I", data, at + 42)
    name = data[at + 46 : at + 46 + name_length].decode("latin-1")
    return (name, flags, method, crc, packed, size, offset), at + 46 + name_length + extra + comment


def _member(data: bytes, record: _Record, expected: int, total: int) -> tuple[bytes, int, int]:
    """The member's bytes, where it ends, and the sum of sizes."""
    name, flags, method, crc, packed, size, offset = record
    if flags & 0x2041:
        raise Unusable("zip-encrypted")
    if method not in (0, 8):
        raise Unusable("zip-method")
    if total + size > MOST:
        raise Unusable("zip-size")
    if size > FREE and size > RATIO * packed:
        raise Unusable("zip-ratio")
    if offset != expected:
        raise Unusable("zip-overlap")
    if data[offset : offset + 4] != LOCAL or len(data) < offset + 30:
        raise Unusable("zip-damaged")
    local_flags, local_method = struct.unpack_from("<HH", data, offset + 6)
    local = struct.unpack_from("<IIIHH", data, offset + 14)
    body = offset + 30 + local[3] + local[4]
    if data[offset + 30 : offset + 30 + local[3]].decode("latin-1") != name:
        raise Unusable("zip-damaged")
    zip64 = local[1:3] == (0xFFFFFFFF, 0xFFFFFFFF)
    if (local_flags, local_method, local[0]) != (flags, method, crc) or not (zip64 or local[1:3] == (packed, size)):
        raise Unusable("zip-damaged")
    content = data[body : body + packed]
    if method == 8:
        try:
            content = zlib.decompressobj(-15).decompress(content, max(size, 1))
        except zlib.error as wrong:
            raise Unusable("zip-damaged") from wrong
    if len(content) != size or zlib.crc32(content) != crc:
        raise Unusable("zip-damaged")
    return content, body + packed, total + size
