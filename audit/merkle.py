"""The tree over the log: RFC 6962 / RFC 9162 hashes, roots and proofs, and the root of a device batch.

The rules
 * leaf = SHA-256(0x00 ‖ data), node = SHA-256(0x01 ‖ left ‖ right), the empty tree is SHA-256("") (RFC 9162 2.1.1). The
   two prefixes keep a leaf from being passed off as a node. No duplicated last node.
 * A compact range keeps one hash per set bit of the size, so that appending costs O(1) amortised (log2 n kept).
 * Inclusion is checked as in RFC 9162 2.1.3.2, consistency as in 2.1.4.2. A consistency proof *from the empty tree* is
   an error in the verifier: everything is consistent with nothing, so it must never be shown as evidence.
 * A batch groups its rows in tiles, each row preceded by its length (4 bytes, big endian), one leaf per tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
BATCH_TILE_ROWS = 64


class ProofInvalid(ValueError):
    """The proof does not show what it claims; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class CompactRange:
    """The roots of the perfect subtrees of a growing tree, largest first: enough to append and to name the root."""

    size: int
    hashes: list[bytes]

    @classmethod
    def empty(cls) -> CompactRange:
        """The range over no leaves."""
        return cls(0, [])

    @classmethod
    def unpack(cls, size: int, packed: bytes) -> CompactRange:
        """The range stored as concatenated hashes; raises ValueError when their number does not fit the size."""
        if len(packed) != HASH_SIZE * size.bit_count():
            raise ValueError(f"a range over {size} leaves has {size.bit_count()} hashes, not {len(packed) / HASH_SIZE}")
        return cls(size, [packed[i : i + HASH_SIZE] for i in range(0, len(packed), HASH_SIZE)])

    def pack(self) -> bytes:
        """The hashes, concatenated."""
        return b"".join(self.hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size, hashes, node = self.size, self.hashes, leaf
        while size & 1:
            node = sha256(b"\x01" + hashes.pop() + node).digest()
            size >>= 1
        hashes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree over all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        node = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            node = node_hash(left, node)
        return node


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in order."""
    tree = CompactRange.empty()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def batch_root(rows: Iterable[bytes], *, tile_rows: int = BATCH_TILE_ROWS) -> bytes:
    """The root of a batch of readings given as their stored bytes: one leaf per `tile_rows` rows, in order."""
    if tile_rows < 1:
        raise ValueError("a tile has at least one row")
    tree, tile, held = CompactRange.empty(), bytearray(), 0
    for row in rows:
        tile += len(row).to_bytes(4, "big")
        tile += row
        held += 1
        if held == tile_rows:
            tree.append(leaf_hash(bytes(tile)))
            tile, held = bytearray(), 0
    if held:
        tree.append(leaf_hash(bytes(tile)))
    return tree.root()


# --- making proofs ---------------------------------------------------------------------------------------------------

Subtree = Callable[[int, int], bytes]
"""`subtree(start, end)`: the root over leaves start..end-1. Where a store keeps tiles it answers from them."""


def subtree_of(leaves: Sequence[bytes]) -> Subtree:
    """The plain answer over leaf hashes held in memory."""
    return lambda start, end: root(leaves[start:end])


def inclusion_proof(index: int, size: int, subtree: Subtree) -> tuple[bytes, ...]:
    """The hashes that lead from leaf `index` to the root of the first `size` leaves, from the bottom up."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    return tuple(_path(index, 0, size, subtree))


def _path(index: int, start: int, end: int, subtree: Subtree) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, subtree), subtree(middle, end)]
    return [*_path(index, middle, end, subtree), subtree(start, middle)]


def consistency_proof(old: int, new: int, subtree: Subtree) -> tuple[bytes, ...]:
    """The hashes that show that the first `old` of `new` leaves are the old tree. `old` is at least 1."""
    if not 1 <= old <= new:
        raise ValueError("consistency is shown from a tree of at least one leaf to one at least as large")
    return tuple(_consistent(old, 0, new, subtree, whole=True))


def _consistent(old: int, start: int, end: int, subtree: Subtree, *, whole: bool) -> list[bytes]:
    if old == end - start:
        return [] if whole else [subtree(start, end)]
    half = _split(end - start)
    if old <= half:
        return [*_consistent(old, start, start + half, subtree, whole=whole), subtree(start + half, end)]
    return [*_consistent(old - half, start + half, end, subtree, whole=False), subtree(start, start + half)]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


# --- checking proofs -------------------------------------------------------------------------------------------------


def check_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofInvalid unless `leaf` (a leaf hash) stands at `index` in the tree of `size` leaves with this root."""
    if index < 0 or size < 0 or index >= size:
        raise ProofInvalid("index-outside-tree")
    _check_hashes(leaf, root, *proof)
    at, last, node = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise ProofInvalid("proof-too-long")
        if at & 1 or at == last:
            node = node_hash(step, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, step)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("proof-too-short")
    if node != root:
        raise ProofInvalid("wrong-root")


def check_consistency(*, old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raise ProofInvalid unless the tree of `old` leaves is the beginning of the tree of `new` leaves."""
    if old < 1:
        raise ProofInvalid("from-empty-tree")
    if new < old:
        raise ProofInvalid("tree-shrank")
    _check_hashes(old_root, new_root, *proof)
    if old == new:
        if proof:
            raise ProofInvalid("proof-too-long")
        if old_root != new_root:
            raise ProofInvalid("wrong-root")
        return
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    if not steps:
        raise ProofInvalid("proof-too-short")
    _walk_consistency(old - 1, new - 1, steps, old_root, new_root)


def _walk_consistency(at: int, last: int, steps: list[bytes], old_root: bytes, new_root: bytes) -> None:
    """RFC 9162 2.1.4.2 steps 4 to 7, over the last leaf of the old tree and of the new one."""
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofInvalid("proof-too-long")
        if at & 1 or at == last:
            was, now = node_hash(step, was), node_hash(step, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, step)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofInvalid("proof-too-short")
    if was != old_root or now != new_root:
        raise ProofInvalid("wrong-root")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(h) != HASH_SIZE for h in hashes):
        raise ProofInvalid("hash-size")
