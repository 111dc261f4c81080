"""The proof of one entry, as somebody else would check it: the path to a signed root, and who has seen that root.

The rules (RFC 9162 2.1.3, C2SP tlog-proof)
 * The proof leads to the newest checkpoint that the quorum has cosigned and that covers the entry; where there is none,
   to the newest signed one. It has at most log2 of the log's size hashes: 20 for a million entries.
 * Every step is computed from the stored leaf bytes, not from the stored hash: what a page shows is what it checked.
   Of an entry that was detached only its hash is here: what is proved is that hash.
 * What is handed out as a file is the standard's own text, and no entry: whoever checks it brings the leaf bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit import merkle, notes
from audit.models import Entry
from audit.selectors import subtree_reader
from audit.services.searching import Left, Stored
from audit.witness_policy import PolicyInvalid
from audit.witnessed import policy_here, witness_state

HEADER = "c2sp.org/tlog-proof@v1"
EXTENSION = ".tlog-proof"


@dataclass(frozen=True, slots=True)
class Step:
    """One step up the tree: the hash beside, on which side it stands, and what both give."""

    beside: bytes
    on_the_left: bool
    gives: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody who has signed a checkpoint over the entry: who, first when, over how many entries."""

    who: str
    at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of one entry under one checkpoint. `wrong` is empty exactly when everything held."""

    position: int
    size: int
    root: bytes
    note: bytes
    leaf_hash: bytes
    steps: tuple[Step, ...]
    wrong: str

    @property
    def holds(self) -> bool:
        """Whether the leaf's bytes lead to the signed root."""
        return not self.wrong

    def text(self) -> bytes:
        """The proof as a C2SP tlog-proof: index, hashes, and the checkpoint with its cosignatures."""
        hashes = [base64.b64encode(step.beside).decode() for step in self.steps]
        return "\n".join([HEADER, f"index {self.position}", *hashes, "", ""]).encode() + self.note


def proof_of(stored: Stored, *, using: str = DEFAULT_DB_ALIAS) -> Proof | None:
    """The proof of an entry; None while no checkpoint covers it."""
    if stored.position is None:
        return None
    return _proof(stored.position, merkle.leaf_hash(stored.leaf), using)


def proof_of_detached(left: Left, *, using: str = DEFAULT_DB_ALIAS) -> Proof | None:
    """The proof of an entry that was detached: from the hash that stayed, which must be that of its archived bytes."""
    return _proof(left.line.position or 0, left.leaf_hash, using)


def _proof(position: int, leaf: bytes, using: str) -> Proof | None:
    found = _checkpoint(position, using)
    if found is None:
        return None
    size, root, note = found
    try:
        path = merkle.inclusion_proof(position, size, subtree_reader(using=using))
        steps = tuple(climb(position, size, leaf, path))
        merkle.check_inclusion(index=position, size=size, leaf=leaf, proof=path, root=root)
        wrong = ""
    except LookupError as err:
        steps, wrong = (), str(err)
    except merkle.ProofInvalid as err:
        wrong = err.code
    return Proof(position, size, root, note, leaf, steps, wrong)


def climb(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> list[Step]:
    """Each step of an inclusion proof, as in RFC 9162 2.1.3.2."""
    at, last, node, steps = index, size - 1, leaf, []
    for beside in path:
        left = bool(at & 1) or at == last
        node = merkle.node_hash(beside, node) if left else merkle.node_hash(node, beside)
        steps.append(Step(beside, left, node))
        while left and not at & 1 and at:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    return steps


def _checkpoint(position: int, using: str) -> tuple[int, bytes, bytes] | None:
    """The checkpoint to prove under, its note with the cosignatures stored beside it."""
    try:
        covered = witness_state(using=using).covered_size
    except (OSError, PolicyInvalid):
        covered = 0
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT c.size, c.root, c.note, (SELECT array_agg(line ORDER BY key_name) FROM audit_cosignature s"
            " WHERE s.size = c.size) FROM audit_checkpoint c WHERE c.size > %s"
            " ORDER BY c.size = %s DESC, c.size DESC LIMIT 1",
            [position, covered],
        )
        row = cursor.fetchone()
    return (row[0], bytes(row[1]), bytes(row[2]) + b"".join(bytes(line) for line in row[3] or ())) if row else None


def seen_by(position: int, *, using: str = DEFAULT_DB_ALIAS) -> tuple[Seen, ...]:
    """Who has signed over this position, first the log itself, then witnesses by name; each the first time."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "(SELECT 0, key_name, at, size FROM audit_checkpoint WHERE size > %s ORDER BY size LIMIT 1)"
            " UNION ALL (SELECT DISTINCT ON (key_name) 1, key_name, at, size FROM audit_cosignature WHERE size > %s"
            " ORDER BY key_name, size) ORDER BY 1, 2",
            [position, position],
        )
        return tuple(Seen(who.partition("+")[0], at, size) for _, who, at, size in cursor.fetchall())


# --- the state of the record ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WitnessSeen:
    """A witness asked for: the size it last cosigned and when, by our clock and by its own. None when it never has."""

    name: str
    size: int | None
    at: datetime | None
    its_clock: datetime | None


def witnesses_seen(*, using: str = DEFAULT_DB_ALIAS) -> tuple[WitnessSeen, ...]:
    """Every witness the quorum is made of. Raises OSError or PolicyInvalid as `witness_state`."""
    policy = policy_here()
    found = []
    for witness in policy.asked() if policy is not None else ():
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT size, at, line FROM audit_cosignature WHERE key_name = %s ORDER BY size DESC LIMIT 1",
                [witness.key.name],
            )
            row = cursor.fetchone()
        size, at, line = row or (None, None, None)
        found.append(WitnessSeen(witness.name, size, at, _its_clock(bytes(line)) if line else None))
    return tuple(found)


def _its_clock(line: bytes) -> datetime | None:
    try:
        signature = notes.parse(b"-\n\n" + line).signatures[0]
        return datetime.fromtimestamp(notes.cosigned_at(signature.signature), tz=UTC)
    except (notes.NoteInvalid, OverflowError, OSError, ValueError):
        return None


def growth(*, points: int = 48, using: str = DEFAULT_DB_ALIAS) -> tuple[tuple[datetime, int], ...]:
    """When the log reached which size, at about `points` sizes evenly apart, the first and the last among them."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT max(position) FROM audit_entry")
        (last,) = cursor.fetchone()
        if last is None:
            return ()
        wanted = sorted({last * n // max(1, points - 1) for n in range(points)})
        cursor.execute("SELECT at, position + 1 FROM audit_entry WHERE position = ANY(%s) ORDER BY position", [wanted])
        return tuple(cursor.fetchall())


def last_of(kind: str) -> tuple[UUID, datetime] | None:
    """The newest numbered entry of a kind, and when it was recorded."""
    row = Entry.objects.filter(type=kind).order_by("-position").values_list("entry_id", "at").first()
    return (row[0], row[1]) if row else None
