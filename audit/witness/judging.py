"""Which checkpoints a witness cosigns, and what it answers to the others.

The rules (C2SP tlog-witness, add-checkpoint), in the order in which they are asked
 * 400 the request or the checkpoint is malformed; 404 the log is unknown; 403 none of its keys signed, or one badly.
 * 400 the old size is above the new; 409, with the size we last cosigned, where the old size is another.
 * 422 an empty tree has another root than SHA-256(""); a proof stands where none is needed; the proof does not hold;
   another root at the same size. What is refused so was signed by the log: it is kept as evidence.
 * 200 otherwise: the cosignature, after the new checkpoint has been stored.
And of ours: 503 while our clock stands before our last cosignature. A cosignature says that this is the largest tree
*as of* a time; times that run backwards would make that a lie.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle, notes
from audit.notes import NoteInvalid, TreeHead, VerifierKey, WitnessKey
from audit.witness.store import Latest, Store

MAX_PROOF = 63
_OLD = re.compile(rb"old (0|[1-9][0-9]{0,18})")


class Refused(Exception):
    """The checkpoint is not cosigned: the HTTP answer, why, and with a 409 the size we last cosigned."""

    def __init__(self, status: int, code: str, *, size: int | None = None) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.size = size


@dataclass(frozen=True, slots=True)
class Request:
    """A request taken apart: the size it starts from, the consistency proof, the signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def read_request(body: bytes) -> Request:
    """The request in a body; raises Refused 400."""
    lines, found, note = body.partition(b"\n\n")
    first, *proof = lines.split(b"\n")
    old = _OLD.fullmatch(first)
    if not found or old is None or len(proof) > MAX_PROOF:
        raise Refused(400, "request")
    return Request(int(old[1]), tuple(map(_hash, proof)), note)


def _hash(line: bytes) -> bytes:
    try:
        raw = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as err:
        raise Refused(400, "proof-line") from err
    if len(raw) != merkle.HASH_SIZE or base64.b64encode(raw) != line:
        raise Refused(400, "proof-line")
    return raw


class Witness:
    """One witness: its key, the keys of the logs it watches, and what it remembers."""

    def __init__(self, *, name: str, key: Ed25519PrivateKey, logs: Iterable[VerifierKey], store: Store) -> None:
        self.name = name
        self._key = key
        self._store = store
        self._logs: dict[str, tuple[VerifierKey, ...]] = {}
        for log in logs:
            self._logs[log.name] = (*self._logs.get(log.name, ()), log)
        self._hashes = {sha256(origin.encode()).hexdigest(): origin for origin in self._logs}

    @property
    def vkey(self) -> WitnessKey:
        """The key others check our cosignatures with."""
        return WitnessKey(self.name, self._key.public_key().public_bytes_raw())

    def checkpoint(self, origin_hash: str) -> bytes | None:
        """The last checkpoint cosigned for the log with this SHA-256 (lower-case hex) of its origin."""
        origin = self._hashes.get(origin_hash)
        last = self._store.last(origin) if origin is not None else None
        return last.note if last else None

    def add_checkpoint(self, body: bytes, *, now: int) -> bytes:
        """Our signature line for the checkpoint in `body`, once that is stored; raises Refused. `now`: POSIX time."""
        request = read_request(body)
        head, signed = self._signed(request.note)
        if request.old > head.size:
            raise Refused(400, "old-size")
        line = b""

        def decide(last: Latest | None) -> Latest:
            nonlocal line
            check_growth(last, request, head)
            if last is not None and now < last.at:
                raise Refused(503, "clock-behind")
            line = notes.cosign(head.text(), name=self.name, key=self._key, at=now)
            return Latest(head.size, head.root, signed + line, now)

        try:
            self._store.replace(head.origin, decide)
        except Refused as refusal:
            if refusal.status == 422:
                self._store.keep_evidence(at=now, origin=head.origin, code=refusal.code, request=body)
            raise
        return line

    def _signed(self, data: bytes) -> tuple[TreeHead, bytes]:
        """What the checkpoint says, and the note with the signatures of the log alone; strangers' are left out."""
        try:
            head = TreeHead.parse(notes.parse(data).text)
        except NoteInvalid as err:
            raise Refused(400, err.code) from err
        known = self._logs.get(head.origin)
        if known is None:
            raise Refused(404, "unknown-log")
        try:
            note, keys = notes.open_note(data, keys=known)
        except NoteInvalid as err:
            raise Refused(403, err.code) from err
        ids = {(key.name, key.key_id) for key in keys}
        lines = dict.fromkeys(each.line() for each in note.signatures if (each.name, each.key_id) in ids)
        return head, note.text + b"\n" + b"".join(lines)


def check_growth(last: Latest | None, request: Request, head: TreeHead) -> None:
    """Raise Refused 409 or 422 unless the checkpoint is the last one, grown by nothing or more."""
    size = last.size if last else 0
    if request.old != size:
        raise Refused(409, "old-size", size=size)
    if head.size == 0 and head.root != merkle.EMPTY_ROOT:
        raise Refused(422, "empty-tree-root")
    if last is None or size == 0:
        if request.proof:
            raise Refused(422, "proof-from-empty-tree")
        return
    try:
        merkle.check_consistency(old=size, new=head.size, proof=request.proof, old_root=last.root, new_root=head.root)
    except merkle.ProofInvalid as err:
        raise Refused(422, err.code) from err
