"""The tree by recursion over a table of the subtrees that are known (RFC 6962 section 2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's data."""
    return hashlib.sha256(b"\x00" + data).digest()


class Unknown(KeyError):
    """A part of the tree of which neither a leaf nor a subtree is known."""


class Table:
    """Subtrees by (start, end); what is asked for is computed from them and kept."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], bytes] = {}

    def root(self, start: int, end: int) -> bytes:
        """The hash of the subtree [start, end).

        :raises Unknown: a part of it is not known
        """
        if (start, end) in self.known:
            return self.known[start, end]
        if end == start:
            return hashlib.sha256(b"").digest()
        if end - start == 1:
            raise Unknown(start)
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        joined = b"\x01" + self.root(start, middle) + self.root(middle, end)
        self.known[start, end] = hashlib.sha256(joined).digest()
        return self.known[start, end]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree whose leaf data these are."""
    table = Table()
    table.known = {(at, at + 1): leaf_hash(data) for at, data in enumerate(leaves)}
    return table.root(0, len(leaves))
