"""Whether a pending row may enter the log: asked by the sequencer before it numbers it, and by verification."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from audit import canonical, entries
from audit.kinds import UnknownKind


class PendingUnsound(Exception):
    """The row is not what `append` writes; `code` says in what."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def check(entry_id: UUID, leaf: bytes, leaf_hash: bytes, prev: bytes | None, *, origin: str) -> dict[str, Any]:
    """The entry in the row, or PendingUnsound: wrong hash, not an entry of this log, or columns that say otherwise."""
    if entries.leaf_hash(leaf) != leaf_hash:
        raise PendingUnsound("pending-hash")
    try:
        entry = entries.read_leaf(leaf, origin=origin)
    except (entries.EntryInvalid, canonical.NotCanonical, UnknownKind) as err:
        raise PendingUnsound(f"pending-{err.code}") from err
    said = entry["object"]["prev"]
    if entry["id"] != str(entry_id) or said != (bytes(prev).hex() if prev is not None else None):
        raise PendingUnsound("pending-columns")
    return entry
