"""Writes a bundle: the same content gives the same bytes, in memory that does not grow with it.

The rules
 * Members in the order of their names, dated 1980-01-01, deflated at zlib's usual level; no comment, no extra field.
 * The lines of every member are spooled beside the target and hashed on the way, because the manifest, which names
   each member's digest, comes before some of them.
 * The target appears whole or not at all, for its owner only: it is written under another name, synced, and renamed at
   the end.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import UUID

from audit.bundles.manifest import LISTED, MANIFEST, NOTE, FileListed, Manifest
from audit.bundles.tiling import Rest

EPOCH = (1980, 1, 1, 0, 0, 0)
CHUNK = 1 << 20


class Abandoned(RuntimeError):
    """The caller's bug: a writer used after it finished or gave up."""


@dataclass(frozen=True, slots=True)
class Body:
    """A payload in the clear, with the salt that opens its commitment."""

    salt: bytes
    body: bytes


@dataclass(slots=True)
class _Member:
    """One member on its way: its spool, digest and length."""

    file: BinaryIO
    digest: Any
    length: int = 0

    def line(self, data: bytes) -> None:
        self.file.write(data)
        self.digest.update(data)
        self.length += len(data)


class BundleWriter:
    """Takes lines in the order of the format and ends in one file. Use as a context: leaving early leaves nothing."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self._spool: Path | None = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        self._members = {name: _Member((self._spool / name).open("wb"), sha256()) for name in LISTED}

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        """Take away what was spooled."""
        self._clear()

    def entry(self, position: int, encoded: bytes) -> None:
        """An included entry: its position and its exact canonical bytes."""
        self._line("entries.jsonl", b"%d %b\n" % (position, encoded))

    def head(self, entry_id: UUID | str, *, version: int, leaf_hash: bytes) -> None:
        """How far the object goes of which this entry is the first one included: its newest version in the log."""
        self._json("heads.jsonl", {"entry": str(entry_id), "leaf": leaf_hash.hex(), "version": version})

    def rest(self, rest: Rest) -> None:
        """A hash that stands for entries left out."""
        self._json("rest.jsonl", {"start": rest.start, "end": rest.end, "hash": rest.hash.hex()})

    def checkpoint(self, size: int, note: bytes, *, timestamp: bytes | None = None) -> None:
        """A signed checkpoint with whatever cosignatures it has; `timestamp` is an RFC 3161 token."""
        said = {"size": size, "note": note.decode()}
        self._json("checkpoints.jsonl", said | ({"timestamp": _b64(timestamp)} if timestamp else {}))

    def payload(self, entry_id: UUID | str, plain: Body) -> None:
        """The payload of an included entry."""
        said = {"entry": str(entry_id), "salt": plain.salt.hex(), "body": plain.body.decode()}
        self._json("payloads.jsonl", said)

    def batch(self, entry_id: UUID | str, rows: Sequence[bytes]) -> None:
        """The rows of an accepted device batch, as stored, in order."""
        self._json("batches.jsonl", {"entry": str(entry_id), "rows": [_b64(row) for row in rows]})

    def assertion(self, entry_id: UUID | str, evidence: Mapping[str, str | None]) -> None:
        """What a signature was made over, and the signature itself."""
        self._json("assertions.jsonl", {"entry": str(entry_id), **evidence})

    def finish(
        self, manifest: Callable[[tuple[FileListed, ...]], Manifest], *, sign: Callable[[bytes], bytes]
    ) -> tuple[Manifest, str]:
        """Write the file. `manifest` is given the members, `sign` the statement's text and answers the signed note.

        Returns the manifest and the file's SHA-256 in hex.
        """
        spool = self._open()
        for member in self._members.values():
            member.file.close()
        done = manifest(tuple(FileListed(n, m.length, m.digest.hexdigest()) for n, m in sorted(self._members.items())))
        encoded = done.encode()
        (spool / MANIFEST).write_bytes(encoded)
        (spool / NOTE).write_bytes(sign(done.statement(sha256(encoded).hexdigest())))
        draft = spool / "bundle"
        with private(draft) as out:
            write_zip(out, [spool / name for name in sorted((*LISTED, MANIFEST, NOTE))])
            out.flush()
            os.fsync(out.fileno())
        digest = file_sha256(draft)
        draft.replace(self.target)
        _sync_folder(self.target.parent)
        self._clear()
        return done, digest

    def _json(self, member: str, said: Mapping[str, Any]) -> None:
        self._line(member, json.dumps(said, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode() + b"\n")

    def _line(self, member: str, data: bytes) -> None:
        self._open()
        self._members[member].line(data)

    def _open(self) -> Path:
        if self._spool is None:
            raise Abandoned(str(self.target.name))
        return self._spool

    def _clear(self) -> None:
        for member in self._members.values():
            with suppress(OSError):  # on a full disk its last bytes fail: it is taken away all the same
                member.file.close()
        if self._spool is not None:
            shutil.rmtree(self._spool, ignore_errors=True)
        self._spool = None


def write_zip(out: BinaryIO, files: Sequence[Path]) -> None:
    """A zip of `files` under their own names, in the order given, the same bytes every time."""
    with zipfile.ZipFile(out, "w") as target:
        for path in files:
            info = zipfile.ZipInfo(path.name, date_time=EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o600 << 16
            info.file_size = path.stat().st_size
            with path.open("rb") as source, target.open(info, "w") as member:
                shutil.copyfileobj(source, member, CHUNK)


def private(path: Path) -> BinaryIO:
    """A new file that only its owner may read. Raises FileExistsError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def file_sha256(path: Path) -> str:
    """The digest of a file, in hex."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
