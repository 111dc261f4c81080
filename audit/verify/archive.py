"""The zip (README 7): exactly its members, nothing before, between or behind them; their sizes; their lines."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, BinaryIO

from audit.verify import quick
from audit.verify.spelling import CHECKS, Refused, Wrong, parse

LINED = [f"{name}.jsonl" for name in ("assertions", "batches", "checkpoints", "entries", "heads", "payloads", "rest")]
MOST = {"entries.jsonl": 65_600, "checkpoints.jsonl": 2 << 20, "heads.jsonl": 1024, "rest.jsonl": 1024}  # else 32 MiB
SMALL = {"manifest.json": 65_535, "manifest.note": 1_000_000}
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError)


class Archive:
    """An open bundle. `listed` is what the manifest says of its members. Reading may raise any of BROKEN."""

    def __init__(self, file: BinaryIO) -> None:
        _check_end(file)
        self.zip, self.listed, end = zipfile.ZipFile(file), dict[str, Any](), 0
        infos = self.zip.infolist()
        if [info.orig_filename for info in infos] != sorted([*LINED, *SMALL]):
            raise Refused("zip-members", [info.filename for info in infos][:9])
        for info in infos:
            file.seek(end)
            *local, packed, size, name, extra = struct.unpack("<6x2H4x3I2H", file.read(30))
            if info.flag_bits & 0x2041 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise Refused("zip-encrypted" if info.flag_bits & 0x2041 else "zip-method", info.filename)
            if info.file_size > min(max(1 << 20, 200 * info.compress_size), SMALL.get(info.filename, 16 << 30)):
                raise Refused("zip-ratio", info.filename)
            if info.header_offset != end:
                raise Refused("zip-overlap", info.filename)
            sizes = (info.compress_size, info.file_size), (0xFFFFFFFF, 0xFFFFFFFF)  # those of zip64 stand behind
            if local != [info.flag_bits, info.compress_type, info.CRC] or (packed, size) not in sizes:
                raise Refused("zip-damaged", f"{info.filename}: its header is not what the directory says")
            end += 30 + name + extra + info.compress_size
        if end != self.zip.start_dir or sum(info.file_size for info in infos) > 16 << 30:
            raise Refused("zip-overlap" if end != self.zip.start_dir else "zip-size", f"{end} bytes")

    def lines(self, name: str) -> Iterator[bytes]:
        """A member's lines without their ends. At its end it must be the member that the manifest lists."""
        digest, length, most, unfinished = sha256(), 0, MOST.get(name, 32 << 20), list[bytes]()
        with self.zip.open(name) as member:
            while part := member.read(1 << 16):
                digest.update(part)
                length += len(part)
                *lines, rest = part.split(b"\n")
                if lines:
                    lines[0], unfinished = b"".join([*unfinished, lines[0]]), []
                unfinished.append(rest)
                if max([sum(map(len, unfinished)), *map(len, lines)]) >= most:
                    raise Refused("line-too-long", name)
                yield from lines
        if any(unfinished):
            raise Wrong("V1", "line-form", f"{name}: the last line is not finished")
        if self.listed[name] != {"name": name, "bytes": length, "sha256": digest.hexdigest()}:
            raise Wrong("V1", "manifest-digest", f"{name} is not the member that the manifest lists")

    def objects(self, name: str) -> Iterator[dict[str, Any]]:
        """A member's lines as the objects they must be."""
        for line in self.lines(name):
            value: Any = quick.payload(line) if name == "payloads.jsonl" else None
            if value is None and not CHECKS[name](value := parse(line, "V1", "line-form")):
                raise Wrong("V1", "line-form", f"{name}: not the members of a line")
            yield value


def _check_end(file: BinaryIO) -> None:
    """The file ends with a zip directory that is small, before anybody reads that into memory."""
    file.seek(max(0, file.seek(0, io.SEEK_END) - 98))
    tail = file.read().rjust(98, b"\0")
    mark, length, comment = struct.unpack("<4s8xL4xH", tail[-22:])
    if tail[-42:-38] == b"PK\x06\x07":
        length = max(length, *struct.unpack("<40xQ8x", tail[:56]))
    if mark != b"PK\x05\x06" or comment or length > 4096:
        raise Refused("not-a-zip", "it does not end with the directory of a few members")
