"""Recomputing the record: everything an entry claims is computed again from its bytes, and the first lie is named.

The rules (SECURITY 1.1 table, 3.5 V2 to V8, V11, V12)
 * Positions are contiguous from 0; every leaf is the one spelling of an entry of the schema, of this log, and hashes
   to what is stored beside it, in its tile and in the index of versions; the searched columns say what the leaf says.
 * Entry ids are unique. The versions of an object count from 1 without a gap, each naming the leaf hash before it.
 * A payload answers to the commitment in its leaf; a device batch's readings answer to the root in its payload.
 * A payload that nobody can open has been shredded: by a `payload.shredded` entry that names it, or with the person's
   key, by a `key.destroyed` entry that names that key. Without such an entry it is gone, and named.
 * The root over the first n leaves is the root of every checkpoint and tree state of size n, signed by the log's key of
   that size; every stored cosignature under it is good. Entries beyond the last checkpoint are counted as unsigned.
 * A key is replaced by an entry `log.key_rotated` that names the old and the new one; the first checkpoint over that
   entry is signed by both, those after it by the new one (V13).
 * An entry that was detached is followed by its hash: it grows the same tree, under every root. Read from its archive
   it is checked like any other.
 * A checkpoint remembered outside must be a head this log has had. Without one, a log cut back to an older checkpoint,
   or wholly rewritten by someone with the log's key, cannot be told from a good one: nothing inside can show it.

Rows are read once, in order, and not kept: 16 bytes of id per entry and one hash per object stay in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from audit import canonical, entries, merkle, notes
from audit.kinds import UnknownKind, kind_named
from audit.stored import StoredDetached, StoredEntry, StoredHead

BATCH_KIND = "observation.batch_accepted"
BatchRows = Callable[[str, str], Iterable[bytes] | None]
"""(object type, object id) of a batch → the stored bytes of its readings in order, None when they are not kept here."""


@dataclass(frozen=True, slots=True)
class Bad:
    """The first thing that is wrong: where (None: not at one entry), which rule, and in words."""

    position: int | None
    entry_id: str | None
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The result. `first_bad` is None exactly when all held; `signed` is the size the last checkpoint vouches for,
    `cosigned` that of the last checkpoint under which a good cosignature of a known witness is stored.
    """

    entries: int
    root: bytes
    signed: int
    checkpoints: int
    batches_checked: int
    batches_unchecked: int
    shredded: int
    first_bad: Bad | None
    cosigned: int = 0
    detached: int = 0

    @property
    def verified(self) -> bool:
        """Whether everything held."""
        return self.first_bad is None

    @property
    def unsigned(self) -> int:
        """Entries beyond the last checkpoint: the publisher has not been there yet, or was kept from it."""
        return self.entries - self.signed


class _Wrong(Exception):
    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


@dataclass(slots=True)
class Verification:
    """One pass over a log. Give it the rows in order, then ask for the report."""

    origin: str
    keys: Sequence[notes.VerifierKey]
    heads: Iterator[StoredHead]
    tiles: Iterator[bytes] = field(default_factory=lambda: iter(()))
    batch_rows: BatchRows | None = None
    remembered: notes.TreeHead | None = None
    witnesses: Sequence[notes.WitnessKey] = ()
    shreds: set[tuple[str, str]] = field(default_factory=set)
    tree: merkle.CompactRange = field(default_factory=merkle.CompactRange.empty)
    _ids: set[bytes] = field(default_factory=set)
    _last: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _head: StoredHead | None = None
    _tile: bytes = b""
    _signed: int = 0
    _cosigned_size: int = 0
    _key: notes.VerifierKey | None = None
    _next: notes.VerifierKey | None = None
    _checkpoints: int = 0
    _batches: list[int] = field(default_factory=lambda: [0, 0])
    _gone: dict[tuple[str | None, str], tuple[int, str]] = field(default_factory=dict)
    _shredded: int = 0
    _detached: int = 0

    def run(self, rows: Iterable[StoredEntry | StoredDetached]) -> Report:
        """Check everything; stops at the first thing that is wrong."""
        self._head = next(self.heads, None)
        row: StoredEntry | StoredDetached | None = None
        try:
            self._heads_here()
            for row in rows:
                if isinstance(row, StoredDetached):
                    self._left(row)
                else:
                    self._entry(row)
                self._heads_here()
            row = None
            self._end()
        except _Wrong as wrong:
            return self._report(self._named(wrong, row))
        return self._report(self._lawless())

    def _named(self, wrong: _Wrong, row: StoredEntry | StoredDetached | None) -> Bad:
        if wrong.code.startswith(("checkpoint", "tree-state", "remembered")):
            since = f"between positions {self._signed} and {self.tree.size - 1}" if self.tree.size else ""
            where = self._signed if self.tree.size > self._signed else None
            return Bad(where, None, wrong.code, " ".join(filter(None, (wrong.detail, since))))
        if row is None:
            return Bad(None, None, wrong.code, wrong.detail)
        return Bad(self.tree.size, str(row.entry_id), wrong.code, wrong.detail)

    def _report(self, bad: Bad | None) -> Report:
        checked, unchecked = self._batches
        counted = (self._signed, self._checkpoints, checked, unchecked, self._shredded)
        return Report(self.tree.size, self.tree.root(), *counted, bad, self._cosigned_size, self._detached)

    # -- one entry ------------------------------------------------------------------------------------------------

    def _entry(self, row: StoredEntry) -> None:
        if row.position != self.tree.size:
            raise _Wrong("position", f"{row.position} where {self.tree.size} should stand")
        leaf_hash = merkle.leaf_hash(row.leaf)
        if leaf_hash != row.leaf_hash:
            raise _Wrong("leaf-hash", "the stored bytes do not hash to the stored hash")
        self._tile_says(leaf_hash)
        try:
            entry = entries.read_leaf(row.leaf, origin=self.origin)
        except (entries.EntryInvalid, canonical.NotCanonical, UnknownKind) as err:
            raise _Wrong(err.code, str(err)) from err
        self._identity(row, entry)
        self._chain(row, entry, leaf_hash)
        self._payload(row, entry)
        if (shred := entries.shred_in(entry)) is not None:
            self.shreds.add(shred)
        self.tree.append(leaf_hash)

    def _left(self, row: StoredDetached) -> None:
        """An entry that was detached: its hash is under the same roots, its version in the same chain."""
        if row.position != self.tree.size:
            raise _Wrong("position", f"{row.position} where {self.tree.size} should stand")
        self._tile_says(row.leaf_hash)
        self._once(row.entry_id.bytes)
        if row.object_name is not None:
            before, _ = self._last.get(row.object_name, (0, None))
            if row.version != before + 1:
                raise _Wrong("version-gap", f"version {row.version} after {before}")
            if row.version_hash != row.leaf_hash:
                raise _Wrong("version-index", "the index of versions has another hash")
            self._last[row.object_name] = (row.version, row.leaf_hash)
        self._detached += 1
        self.tree.append(row.leaf_hash)

    def _once(self, entry_id: bytes) -> None:
        if entry_id in self._ids:
            raise _Wrong("duplicate-id")
        self._ids.add(entry_id)

    def _tile_says(self, leaf_hash: bytes) -> None:
        at = self.tree.size % 256
        if at == 0:
            self._tile = next(self.tiles, b"")
        expected = self._tile[32 * at : 32 * at + 32]
        if expected and expected != leaf_hash:
            raise _Wrong("tile", "the stored tile has another hash at this position")

    def _identity(self, row: StoredEntry, entry: dict[str, Any]) -> None:
        if str(row.entry_id) != entry["id"]:
            raise _Wrong("entry-id", "the row and the leaf name different ids")
        self._once(row.entry_id.bytes)
        said = tuple(_stamped(value) for value in row.columns)
        if said != entries.columns(entry):
            raise _Wrong("columns", "the searched columns do not say what the leaf says")

    def _chain(self, row: StoredEntry, entry: dict[str, Any], leaf_hash: bytes) -> None:
        place = entry["object"]
        version = place["version"]
        if version is None:
            return
        name = f"{place['type']}\x00{place['id']}"
        before, prev = self._last.get(name, (0, None))
        if version != before + 1:
            raise _Wrong("version-gap", f"version {version} after {before}")
        if place["prev"] != (prev.hex() if prev else None):
            raise _Wrong("prev", "does not name the object's entry before it")
        if row.version_hash != leaf_hash:
            raise _Wrong("version-index", "the index of versions has another hash, or none")
        self._last[name] = (version, leaf_hash)

    def _payload(self, row: StoredEntry, entry: dict[str, Any]) -> None:
        said, kept = entry.get("payload"), row.payload
        if (said is None) != (kept is None):
            raise _Wrong("payload-missing" if kept is None else "payload-extra")
        if said is None or kept is None:
            return
        if str(kept.id) != said["ref"] or kept.commit.hex() != said["commit"]:
            raise _Wrong("payload-ref", "the payload row is not the one the leaf names")
        if kept.unsound:
            raise _Wrong("payload-sealed", kept.unsound)
        if kept.salt is None or kept.body is None:
            self._gone.setdefault((kept.dek_id, str(kept.id)), (self.tree.size, entry["id"]))
            self._shredded += 1
            return
        if len(kept.salt) != entries.SALT_SIZE or entries.commitment(kept.salt, kept.body) != kept.commit:
            raise _Wrong("payload-commit", "the payload does not answer to its commitment")
        needs = kind_named(entry["type"]).payload_needs
        if needs:
            self._needed(entry, kept.body, needs)

    def _needed(self, entry: dict[str, Any], body: bytes, needs: frozenset[str]) -> None:
        try:
            payload = canonical.loads(body, profile=canonical.PAYLOAD)
        except canonical.NotCanonical as err:
            raise _Wrong("payload-spelling", str(err)) from err
        if not isinstance(payload, dict) or not needs <= payload.keys():
            raise _Wrong("payload-keys", ", ".join(sorted(needs)))
        if entry["type"] == BATCH_KIND:
            self._batch(entry["object"], payload)
        if entry["type"] == "log.key_rotated":
            self._rotated(payload)
        if entry["type"] == "log.genesis" and payload["vkey"] not in {str(key) for key in self.keys}:
            raise _Wrong("genesis-key", "the log began under another key than the one trusted here")

    def _batch(self, place: dict[str, Any], payload: dict[str, Any]) -> None:
        rows = self.batch_rows(place["type"], place["id"]) if self.batch_rows else None
        if rows is None:
            self._batches[1] += 1
            return
        held = list(rows)
        if len(held) != payload["count"] or merkle.batch_root(held).hex() != payload["root"]:
            raise _Wrong("batch-root", f"{len(held)} readings do not answer to the batch's root and count")
        self._batches[0] += 1

    # -- heads ----------------------------------------------------------------------------------------------------

    def _heads_here(self) -> None:
        """Compare every stored head of the size now reached, and the remembered one."""
        size = self.tree.size
        if (self._head is None or self._head.size > size) and (not self.remembered or self.remembered.size != size):
            return
        root = self.tree.root()
        if self.remembered and self.remembered.size == size and self.remembered.root != root:
            raise _Wrong("remembered-root", f"the log of {size} entries is not the one that was seen")
        while self._head is not None and self._head.size <= size:
            self._check_head(self._head, size, root)
            self._head = next(self.heads, None)

    def _check_head(self, head: StoredHead, size: int, root: bytes) -> None:
        name = "tree-state" if head.note is None else "checkpoint"
        if head.size != size:
            raise _Wrong(f"{name}-order", f"size {head.size} at {size}")
        if head.root != root:
            raise _Wrong(f"{name}-root", f"the root of the first {size} entries is another")
        if head.note is None:
            if head.hashes != self.tree.pack():
                raise _Wrong("tree-state-hashes", f"the range kept at size {size} is another")
            return
        try:
            said = notes.open_checkpoint(head.note, origin=self.origin, keys=self._keys_here())
            self._both_signed(head.note)
        except notes.NoteInvalid as err:
            raise _Wrong("checkpoint-note", str(err)) from err
        if (said.size, said.root) != (size, root):
            raise _Wrong("checkpoint-note", "the note states another size or root")
        self._signed, self._checkpoints = size, self._checkpoints + 1
        self._cosigned(head)

    def _keys_here(self) -> Sequence[notes.VerifierKey]:
        """The keys that may sign a checkpoint of the size now reached."""
        return (self._key,) if self._key else self.keys

    def _both_signed(self, note: bytes) -> None:
        """The first checkpoint after a rotation carries the old key's signature and the new one's."""
        if self._next is None:
            return
        signed = notes.open_note(note, keys=[*self._keys_here(), self._next])[1]
        if len(signed) < 2:
            raise notes.NoteInvalid("one-signature", "a rotation is signed by the old key and the new one")
        self._key, self._next = self._next, None

    def _rotated(self, payload: dict[str, Any]) -> None:
        """A rotation entry: names the key in force, and the one that follows it."""
        known = {str(key): key for key in self._keys_here()}
        if self._next is not None or payload["old"] not in known:
            raise _Wrong("rotation", "the key it replaces is not the one in force")
        try:
            self._key, self._next = known[payload["old"]], notes.VerifierKey.parse(payload["new"])
        except (notes.NoteInvalid, AttributeError) as err:
            raise _Wrong("rotation", "the new key cannot be read") from err

    def _cosigned(self, head: StoredHead) -> None:
        """Every stored cosignature by a witness we know is good; those of others are counted nowhere."""
        if not head.cosignatures or head.note is None:
            return
        try:
            found = notes.cosignatures(head.note + b"".join(head.cosignatures), witnesses=self.witnesses)
        except notes.NoteInvalid as err:
            raise _Wrong("checkpoint-cosignature", str(err)) from err
        if found:
            self._cosigned_size = head.size

    def _end(self) -> None:
        size = self.tree.size
        if self._head is not None:
            raise _Wrong("checkpoint-beyond", f"a head of size {self._head.size} over a log of {size}")
        if self.remembered and self.remembered.size > size:
            raise _Wrong("remembered-longer", f"{self.remembered.size} entries were seen, {size} are here")

    def _lawless(self) -> Bad | None:
        """The first payload that is gone without an entry that shredded it."""
        for (dek_id, ref), (position, entry_id) in self._gone.items():
            if ("payload", ref) not in self.shreds and ("data_key", dek_id) not in self.shreds:
                return Bad(position, entry_id, "payload-gone", "its key is gone and no entry says that it was shredded")
        return None


def check_tiles(tiles: Iterable[tuple[int, int, bytes, bytes]]) -> Bad | None:
    """Every stored tile (level, index, hashes, root), by level and index: contiguous, its root its own, and above level
    nought its hashes the roots of the tiles below. The first that is not.
    """
    below: list[bytes] = []
    roots: list[bytes] = []
    at = 0
    for level, index, hashes, root in tiles:
        if level != at:
            below, roots, at = roots, [], at + 1
        held = [hashes[i : i + 32] for i in range(0, len(hashes), 32)]
        expected = held if level == 0 else below[256 * index : 256 * index + 256]
        if (level, index, len(held)) != (at, len(roots), 256) or held != expected or merkle.root(held) != root:
            return Bad(256 ** (level + 1) * index, None, "tile-stored", f"tile {level}/{index}")
        roots.append(root)
    return None


def _stamped(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"
    return value


def nothing_yet(report: Report, pending: int) -> bool:
    """Whether entries wait and none has its place in the log: then nothing was verified."""
    return report.verified and report.entries == 0 and pending > 0


def as_json(report: Report, *, pending: int) -> str:
    """The report as one JSON object for machines."""
    bad = report.first_bad
    return json.dumps(
        {
            "verified": report.verified and not nothing_yet(report, pending),
            "entries": report.entries,
            "pending": pending,
            "first_bad": None
            if bad is None
            else {"position": bad.position, "entry_id": bad.entry_id, "code": bad.code, "detail": bad.detail},
            "size": report.entries,
            "root": report.root.hex(),
            "signed": report.signed,
            "unsigned": report.unsigned,
            "cosigned": report.cosigned,
            "checkpoints": report.checkpoints,
            "batches": {"checked": report.batches_checked, "unchecked": report.batches_unchecked},
            "shredded": report.shredded,
            "detached": report.detached,
        }
    )
