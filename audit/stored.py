"""What verification is handed: rows of the record as they are stored, whatever store they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload row, opened: `salt` and `body` in the clear; None for both when its key is gone.

    `dek_id` names the data key it was sealed under; `unsound` says why one that has its key does not open.
    """

    id: UUID
    commit: bytes
    salt: bytes | None
    body: bytes | None
    dek_id: str | None = None
    unsound: str = ""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry row with what is stored about it elsewhere. `columns` in the order of `entries.columns`."""

    position: int
    entry_id: UUID
    leaf: bytes
    leaf_hash: bytes
    columns: tuple[Any, ...]
    version_hash: bytes | None = None
    payload: StoredPayload | None = None


@dataclass(frozen=True, slots=True)
class StoredDetached:
    """What stays of an entry that was detached: its place, its leaf hash, and which version of which object it is."""

    position: int
    entry_id: UUID
    leaf_hash: bytes
    object_name: str | None = None
    version: int = 0
    version_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A tree head as stored: a signed checkpoint, or an unsigned tree state (`note` None) with its packed range."""

    size: int
    root: bytes
    note: bytes | None
    hashes: bytes = b""
    cosignatures: tuple[bytes, ...] = ()
