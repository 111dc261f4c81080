"""Reads a bundle, line by line, for our own programs: the drawing of its report, and replay.

The rules
 * Reading is not verifying (`audit.verify` does that): here it is made sure that the file can be read in bounded memory
   and is what it says, member by member; everything else is a refusal by name (BundleInvalid), never a traceback.
 * Exactly the members of the format, once each, no longer than the manifest says, deflated or stored, not encrypted.
 * A member's digest is compared when it has been read to its end.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import UUID

from audit import canonical, entries
from audit.bundles.manifest import LISTED, MANIFEST, MAX_MANIFEST, NOTE, BundleInvalid, Manifest
from audit.bundles.tiling import Rest

MAX_LINE = 32 * 1024 * 1024
MAX_NOTE = 1_000_000
_POSITION = re.compile(rb"0|[1-9][0-9]{0,15}")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Entry:
    """An included entry: where it stands, what it says, its exact bytes and its leaf hash."""

    position: int
    entry: dict[str, Any]
    encoded: bytes
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """What an entry's payload says, and what opens the entry's commitment to it."""

    entry_id: UUID
    salt: bytes
    body: bytes

    def said(self) -> Any:
        """The payload as a value."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed checkpoint with its cosignatures; `timestamp` is an RFC 3161 token."""

    size: int
    note: bytes
    timestamp: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of a device batch."""

    entry_id: UUID
    rows: tuple[bytes, ...]


class Bundle:
    """An open bundle. Every iterator reads its member afresh, so several may run side by side."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest, encoded: bytes, note: bytes) -> None:
        self._archive = archive
        self.manifest, self.manifest_bytes, self.note = manifest, encoded, note

    @classmethod
    def open(cls, source: Path | BinaryIO) -> Bundle:
        """The bundle in a file; raises BundleInvalid."""
        try:
            archive = zipfile.ZipFile(source)
        except _BROKEN as err:
            raise BundleInvalid("not-a-zip", type(err).__name__) from err
        try:
            _check_members(archive)
            encoded = _small(archive, MANIFEST, MAX_MANIFEST)
            manifest = Manifest.decode(encoded)
            for file in manifest.files:
                if archive.getinfo(file.name).file_size != file.bytes:
                    raise BundleInvalid("member-length", file.name)
            return cls(archive, manifest, encoded, _small(archive, NOTE, MAX_NOTE))
        except BaseException:
            archive.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        """Close the file."""
        self._archive.close()

    def entries(self) -> Iterator[Entry]:
        """The included entries, ascending."""
        last, origin = -1, self.manifest.origin
        for line in self._lines("entries.jsonl"):
            position, found, encoded = line.partition(b" ")
            if not found or _POSITION.fullmatch(position) is None or int(position) <= last:
                raise BundleInvalid("entry-position", repr(position[:20]))
            last = int(position)
            leaf = entries.frame(origin) + encoded
            try:
                entry = entries.read_leaf(leaf, origin=origin)
            except (entries.EntryInvalid, canonical.NotCanonical, ValueError) as err:
                raise BundleInvalid("entry", f"{last}: {err}") from err
            yield Entry(last, entry, encoded, entries.leaf_hash(leaf))

    def rest(self) -> Iterator[Rest]:
        """The hashes between them."""
        for said in self._objects("rest.jsonl"):
            yield Rest(_int(said, "start"), _int(said, "end"), _hex(said, "hash"))

    def checkpoints(self) -> Iterator[Checkpoint]:
        """The checkpoints, by size."""
        for said in self._objects("checkpoints.jsonl"):
            stamp = _b64(said["timestamp"]) if "timestamp" in said else None
            yield Checkpoint(_int(said, "size"), _str(said, "note").encode(), stamp)

    def payloads(self) -> Iterator[Payload]:
        """The payloads this reader was given, in the order of their entries."""
        for said in self._objects("payloads.jsonl"):
            yield Payload(_uuid(said), _hex(said, "salt"), _str(said, "body").encode())

    def batches(self) -> Iterator[Batch]:
        """The device batches whose readings this reader was given."""
        for said in self._objects("batches.jsonl"):
            rows = said.get("rows")
            if not isinstance(rows, list):
                raise BundleInvalid("member-shape", "rows")
            yield Batch(_uuid(said), tuple(_b64(row) for row in rows))

    def assertions(self) -> Iterator[tuple[UUID, dict[str, str | None]]]:
        """The evidence of signatures, by entry; None for content that this reader was not given."""
        for said in self._objects("assertions.jsonl"):
            given = {name: None if said[name] is None else _str(said, name) for name in said if name != "entry"}
            yield _uuid(said), given

    def check_members(self) -> None:
        """Read every member to its end and compare its digest; raises BundleInvalid."""
        for name in LISTED:
            for _ in self._lines(name):
                pass

    def _objects(self, name: str) -> Iterator[dict[str, Any]]:
        for line in self._lines(name):
            try:
                said = canonical.parse_strict(line, max_bytes=MAX_LINE)
            except canonical.NotCanonical as err:
                raise BundleInvalid("member-line", f"{name}: {err}") from err
            if not isinstance(said, dict):
                raise BundleInvalid("member-line", name)
            yield said

    def _lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member, without their ends; its digest and length are compared at the end."""
        listed = next(file for file in self.manifest.files if file.name == name)
        digest, length = sha256(), 0
        try:
            with self._archive.open(name) as member:
                while line := member.readline(MAX_LINE + 1):
                    digest.update(line)
                    length += len(line)
                    if len(line) > MAX_LINE or not line.endswith(b"\n") or length > listed.bytes:
                        raise BundleInvalid("member-line", f"{name}: too long or unfinished")
                    yield line[:-1]
        except BundleInvalid:
            raise
        except _BROKEN as err:
            raise BundleInvalid("member-unreadable", f"{name}: {type(err).__name__}") from err
        if digest.hexdigest() != listed.sha256 or length != listed.bytes:
            raise BundleInvalid("member-digest", name)


def _check_members(archive: zipfile.ZipFile) -> None:
    names = [info.filename for info in archive.infolist()]
    if sorted(names) != sorted((*LISTED, MANIFEST, NOTE)):
        raise BundleInvalid("members", "not the members of a bundle, each once")
    for info in archive.infolist():
        if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
            raise BundleInvalid("members", f"{info.filename} is encrypted or packed in another way")


def _small(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        with archive.open(name) as member:
            data = member.read(most + 1)
    except _BROKEN as err:
        raise BundleInvalid("member-unreadable", f"{name}: {type(err).__name__}") from err
    if len(data) > most:
        raise BundleInvalid("member-too-long", name)
    return data


def _int(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    if type(value) is not int or value < 0:
        raise BundleInvalid("member-shape", name)
    return value


def _str(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if type(value) is not str:
        raise BundleInvalid("member-shape", name)
    return value


def _hex(said: dict[str, Any], name: str) -> bytes:
    value = _str(said, name)
    if re.fullmatch(r"[0-9a-f]{64}", value) is None:
        raise BundleInvalid("member-shape", name)
    return bytes.fromhex(value)


def _uuid(said: dict[str, Any]) -> UUID:
    try:
        found = UUID(_str(said, "entry"))
    except ValueError as err:
        raise BundleInvalid("member-shape", "entry") from err
    return found


def _b64(value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "-", validate=True)
    except (binascii.Error, ValueError) as err:
        raise BundleInvalid("member-shape", "base64") from err
