"""The publisher: the newest tree is recomputed from what is stored, signed by the signer, and shown to the witnesses.

The rules (SECURITY 3.2, 7)
 * Before a head is signed its root is computed again, new entries from their bytes and full tiles from their rows: a
   flipped bit in the store stops the log instead of being signed (the lesson of CT's Yeti 2022).
 * The signer is given the proof from the head it remembers. A signer that remembers more than is here means that this
   database is an older copy: nothing is signed.
 * A note is stored only when a key this log is known by has signed it. Checkpoint and cosignatures are evidence: they
   are inserted, by the sequencer's role, and never changed. A kill between the steps loses none that matters: the next
   round asks again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connections, transaction

from audit import merkle, notes
from audit.models import Entry
from audit.selectors import TILE_WIDTH, payload_of, subtree_reader
from audit.services import keys, signing
from audit.services.witnessing import (
    LogShorterThanWitnessed,
    OtherSize,
    WitnessClient,
    Witnesses,
    WitnessFailed,
)

log = logging.getLogger(__name__)
SEQUENCER = "sequencer"
CHUNK = 2000
Answer = tuple[WitnessClient, bytes | WitnessFailed | OtherSize | LogShorterThanWitnessed]


class RecordDiffers(Exception):
    """What is stored does not hash to the tree that was grown over it: nothing is signed until it is looked into."""


class SignerAhead(Exception):
    """The signer remembers a longer log than is here: this database is an older copy."""


class SignerUnknown(Exception):
    """What signed is not a key this log is known by."""


@dataclass(frozen=True, slots=True)
class Published:
    """What one round did: the size of the newest checkpoint, whether it is new, and what each witness answered."""

    size: int
    new: bool = False
    cosigned: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Publisher:
    """Keeps the tree it has recomputed between rounds, so that each round reads only what is new."""

    using: str = SEQUENCER
    _tree: merkle.CompactRange = field(default_factory=merkle.CompactRange.empty)
    _tile: list[bytes] = field(default_factory=list)

    def publish(self, *, signer: signing.Signer, witnesses: Witnesses | None = None) -> Published:
        """One round. Raises RecordDiffers, SignerAhead, SignerUnknown, LogShorterThanWitnessed; and as the signer."""
        head = self._newest("audit_treestate")
        if head is None:
            return Published(0)
        last = self._newest("audit_checkpoint")
        new = last is None or last.size < head.size
        if new:
            self._recompute(head, last)
            self._store(self._signed(signer, head))
        cosigned, failed = self._show(head, witnesses) if witnesses and witnesses.clients else ((), ())
        return Published(head.size, new, cosigned, failed)

    # -- recomputing ----------------------------------------------------------------------------------------------

    def _recompute(self, head: notes.TreeHead, last: notes.TreeHead | None) -> None:
        """Grow our own tree to the head's size, and compare; what a checkpoint vouches for is taken by its hashes."""
        if self._tree.size < (anchor := self._anchor()).size:
            self._tree, self._tile = anchor, []
        if last is not None and self._tree.size < last.size:
            self._grow(last.size, from_bytes=False)
            self._same(last)
        self._grow(head.size, from_bytes=True)
        self._same(head)

    def _anchor(self) -> merkle.CompactRange:
        """The tree over what was detached: from there on the entries are here."""
        with connections[self.using].cursor() as cursor:
            cursor.execute("SELECT stop, hashes FROM audit_segment ORDER BY stop DESC LIMIT 1")
            row = cursor.fetchone()
        return merkle.CompactRange.unpack(row[0], bytes(row[1])) if row else merkle.CompactRange.empty()

    def _same(self, head: notes.TreeHead) -> None:
        if self._tree.root() != head.root:
            self._tree, self._tile = merkle.CompactRange.empty(), []
            raise RecordDiffers(f"the stored entries do not give the root kept for size {head.size}")

    def _grow(self, size: int, *, from_bytes: bool) -> None:
        column = "leaf" if from_bytes else "NULL::bytea"
        while (at := self._tree.size) < size:
            with connections[self.using].cursor() as cursor:
                cursor.execute(
                    f"SELECT position, leaf_hash, {column} FROM audit_entry"  # noqa: S608  (one of two constants)
                    " WHERE position >= %s AND position < %s ORDER BY position",
                    [at, min(size, at + CHUNK)],
                )
                rows = cursor.fetchall()
            if not rows:
                self._differs(at, "is missing")
            for position, leaf_hash, leaf in rows:
                self._take(position, bytes(leaf_hash), leaf)

    def _take(self, position: int, leaf_hash: bytes, leaf: Any) -> None:
        if position != self._tree.size:
            self._differs(self._tree.size, "is missing")
        if leaf is not None and merkle.leaf_hash(bytes(leaf)) != leaf_hash:
            self._differs(position, "does not hash to what is stored beside it")
        self._tree.append(leaf_hash)
        self._tile.append(leaf_hash)
        if len(self._tile) == TILE_WIDTH:
            with connections[self.using].cursor() as cursor:
                cursor.execute(
                    "SELECT hashes, root FROM audit_tile WHERE level = 0 AND index = %s", [position // TILE_WIDTH]
                )
                stored = cursor.fetchone()
            if stored is None or (bytes(stored[0]), bytes(stored[1])) != (
                b"".join(self._tile),
                merkle.root(self._tile),
            ):
                self._differs(position, "closes a tile that is stored otherwise")
            self._tile = []

    def _differs(self, position: int, what: str) -> None:
        self._tree, self._tile = merkle.CompactRange.empty(), []
        raise RecordDiffers(f"the entry at position {position} {what}")

    # -- signing --------------------------------------------------------------------------------------------------

    def _signed(self, signer: signing.Signer, head: notes.TreeHead) -> tuple[notes.TreeHead, bytes, str]:
        known = signer.state()
        if known.size > head.size:
            raise SignerAhead(f"the signer has signed {known.size} entries, {head.size} are here")
        proof = merkle.consistency_proof(known.size, head.size, subtree_reader(using=self.using)) if known.size else ()
        note = signer.sign(head, old=known.size, proof=proof)
        try:
            said, by = notes.open_note(note, keys=known_keys())
        except notes.NoteInvalid as err:
            raise SignerUnknown(f"not signed by a key this log is known by: {err}") from err
        if said.text != head.text():
            raise SignerUnknown("the signer signed something else than it was asked")
        return head, note, str(by[0])

    def _store(self, signed: tuple[notes.TreeHead, bytes, str]) -> None:
        head, note, key = signed
        with transaction.atomic(using=self.using), connections[self.using].cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_checkpoint (size, root, note, key_name) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [head.size, head.root, note, key],
            )

    # -- witnesses ------------------------------------------------------------------------------------------------

    def _show(self, head: notes.TreeHead, asked: Witnesses) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """Ask those that have not cosigned this size yet, all at once; store what they answer."""
        with connections[self.using].cursor() as cursor:
            cursor.execute("SELECT note FROM audit_checkpoint WHERE size = %s", [head.size])
            note = bytes(cursor.fetchone()[0])
            cursor.execute("SELECT key_name FROM audit_cosignature WHERE size = %s", [head.size])
            have = {name for (name,) in cursor.fetchall()}
            for client in asked.clients:
                if client.known_size is None:
                    cursor.execute(
                        "SELECT coalesce(max(size), 0) FROM audit_cosignature WHERE key_name = %s",
                        [client.witness.key.name],
                    )
                    (client.known_size,) = cursor.fetchone()
        waiting = [client for client in asked.clients if client.witness.key.name not in have]
        answers = self._asked(waiting, note, head)
        again = [client for client, answer in answers if isinstance(answer, OtherSize)]
        done = [answer for answer in answers if answer[0] not in again]
        return self._keep(head.size, done + self._asked(again, note, head))

    def _asked(self, clients: list[WitnessClient], note: bytes, head: notes.TreeHead) -> list[Answer]:
        """Every one asked at once. The proofs are made here: no other thread touches the database."""
        if not clients:
            return []
        subtree, calls = subtree_reader(using=self.using), []
        for client in clients:
            old = client.known_size or 0
            proof = merkle.consistency_proof(old, head.size, subtree) if 0 < old <= head.size else ()
            calls.append(partial(_ask, client, note, head.size, old=old, proof=proof))
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(zip(clients, pool.map(lambda call: call(), calls), strict=True))

    def _keep(self, size: int, answers: list[Answer]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        good, failed = [], []
        for client, answer in answers:
            name = client.witness.name
            if isinstance(answer, WitnessFailed):
                failed.append((name, answer.code))
            elif isinstance(answer, OtherSize):
                failed.append((name, "size-again"))
            elif isinstance(answer, bytes):
                good.append((name, client.witness.key.name, answer))
        with transaction.atomic(using=self.using), connections[self.using].cursor() as cursor:
            for _, key_name, line in good:
                cursor.execute(
                    "INSERT INTO audit_cosignature (size, key_name, line) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    [size, key_name, line],
                )
        for _, answer in answers:
            if isinstance(answer, LogShorterThanWitnessed):
                raise answer
        return tuple(name for name, _, _ in good), tuple(failed)

    def _newest(self, table: str) -> notes.TreeHead | None:
        with connections[self.using].cursor() as cursor:
            cursor.execute(f"SELECT size, root FROM {table} ORDER BY size DESC LIMIT 1")  # noqa: S608  (constants)
            row = cursor.fetchone()
        return notes.TreeHead(keys.origin(), row[0], bytes(row[1])) if row else None


def _ask(client: WitnessClient, note: bytes, size: int, *, old: int, proof: tuple[bytes, ...]) -> Any:
    """The witness's line, or what stood in the way; remembers the size it is at."""
    if old > size:
        return LogShorterThanWitnessed(f"{client.witness.name} has seen {old} entries, {size} are here")
    try:
        line = client.cosign(note, old=old, proof=proof)
    except OtherSize as err:
        client.known_size = err.size
        return err
    except WitnessFailed as err:
        return err
    client.known_size = size
    return line


def publish(
    *, signer: signing.Signer | None = None, witnesses: Witnesses | None = None, using: str = SEQUENCER
) -> Published:
    """One round from nothing, by the signer of this installation unless one is given; as `Publisher.publish`."""
    publisher = Publisher(using)
    if signer is not None:
        return publisher.publish(signer=signer, witnesses=witnesses)
    with signing.reach() as ours:
        return publisher.publish(signer=ours, witnesses=witnesses)


def known_keys() -> tuple[notes.VerifierKey, ...]:
    """The keys this log is known by: the one it began with, and those its rotation entries name after it."""
    return (signing.first_key(), *(notes.VerifierKey.parse(said["new"]) for said in rotations()))


def rotations() -> list[Mapping[str, Any]]:
    """The payloads of the log's rotation entries, oldest first."""
    rows = Entry.objects.filter(type="log.key_rotated", object_type="log", object_id=keys.origin())
    found = [payload_of(entry_id) for entry_id in rows.order_by("position").values_list("entry_id", flat=True)]
    return [said for said in found if isinstance(said, Mapping)]
