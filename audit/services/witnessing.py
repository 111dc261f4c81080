"""Checkpoints go to the witnesses and their cosignatures come back; a log shorter than they have seen is not served.

The rules (C2SP tlog-witness, SECURITY 3.2, 3.6)
 * `add-checkpoint` is "old <size>", the proof's hashes, an empty line, the note. Answers: 200 the cosignature; 409 the
   size the witness is at, from which it is asked again, once; 403, 404, 422 and everything else are told by name.
 * A cosignature counts only when it verifies under the key of the policy file. An answer is at most 16 KiB, the whole
   exchange at most 5 s. A witness that fails is left alone for a while, longer each time, up to a minute.
 * At every start the witnesses are asked what they have seen. A longer log than ours, or another of the same size:
   refused. One that cannot be reached is a warning, not a reason to stop.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from django.db import DEFAULT_DB_ALIAS, connections

from audit import notes
from audit.selectors import subtree_reader
from audit.services import keys
from audit.services.exchanging import ExchangeFailed, exchange
from audit.witness_policy import Policy, Witness
from audit.witnessed import policy_here

log = logging.getLogger(__name__)
EXCHANGE_S = 5.0
MAX_ANSWER = 16_384
LONGEST_PAUSE_S = 60.0
OK, NOT_FOUND, CONFLICT = 200, 404, 409
SIZE_TYPE = "text/x.tlog.size"


class WitnessFailed(Exception):
    """No cosignature this time; `code` is `unreachable`, `paused`, `status-<n>`, or what is wrong with the answer."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class OtherSize(Exception):
    """The witness is at another size than it was asked from."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class LogShorterThanWitnessed(Exception):
    """The log here is not the one the witnesses have seen: nothing may be served from it."""


@dataclass(slots=True)
class WitnessClient:
    """One witness over HTTP, with what we know of it: the size it is at, and whether it is to be left alone."""

    witness: Witness
    known_size: int | None = None
    failures: int = 0
    quiet_until: float = 0.0

    def cosign(self, note: bytes, *, old: int, proof: Sequence[bytes]) -> bytes:
        """The witness's line under `note`; `proof` leads from the tree of size `old`, empty when that is 0.

        Raises OtherSize when the witness is at another size, WitnessFailed.
        """
        if time.monotonic() < self.quiet_until:
            raise WitnessFailed("paused")
        try:
            line = self._cosign(note, old, proof)
        except WitnessFailed:
            self.failures += 1
            self.quiet_until = time.monotonic() + min(2.0 ** (self.failures - 1), LONGEST_PAUSE_S)
            raise
        self.failures, self.quiet_until = 0, 0.0
        return line

    def _cosign(self, note: bytes, old: int, proof: Sequence[bytes]) -> bytes:
        lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof), ""]
        body = "\n".join(lines).encode() + b"\n" + note
        status, kind, said = _exchange(self._url("add-checkpoint"), body=body)
        if status == OK:
            return self._line(note, said)
        if status == CONFLICT and kind.startswith(SIZE_TYPE):
            raise OtherSize(_size(said))
        raise WitnessFailed(f"status-{status}")

    def _line(self, note: bytes, body: bytes) -> bytes:
        """The one line of the answer that is this witness's and verifies."""
        try:
            for line in body.splitlines(keepends=True):
                if notes.cosignatures(note + line, witnesses=[self.witness.key]):
                    return line
        except notes.NoteInvalid as err:
            raise WitnessFailed("bad-cosignature") from err
        raise WitnessFailed("no-cosignature")

    def seen(self, origin: str, log_keys: Sequence[notes.VerifierKey]) -> notes.TreeHead | None:
        """The last head it cosigned, or None when it has seen none. Raises WitnessFailed."""
        status, _, body = _exchange(self._url(f"{sha256(origin.encode()).hexdigest()}/checkpoint"))
        if status == NOT_FOUND:
            return None
        if status != OK:
            raise WitnessFailed(f"status-{status}")
        try:
            if not notes.cosignatures(body, witnesses=[self.witness.key]):
                raise WitnessFailed("no-cosignature")
            return notes.open_checkpoint(body, origin=origin, keys=log_keys)
        except (notes.NoteInvalid, ValueError) as err:
            raise WitnessFailed("bad-answer") from err

    def _url(self, path: str) -> str:
        return f"{(self.witness.url or '').rstrip('/')}/{path}"


def _exchange(url: str, *, body: bytes | None = None) -> tuple[int, str, bytes]:
    """Status, content type and body of one request; raises WitnessFailed when it cannot be had in time or size."""
    try:
        answer = exchange(url, body=body, limit_s=EXCHANGE_S, most=MAX_ANSWER)
    except ExchangeFailed as err:
        raise WitnessFailed(err.code) from err
    return answer.status, answer.kind, answer.body


def _size(body: bytes) -> int:
    text = body.strip()
    if not text.isdigit() or len(text) > 19:
        raise WitnessFailed("bad-size")
    return int(text)


@dataclass(slots=True)
class Witnesses:
    """The witnesses of the policy that have an address, each with its own connection state."""

    policy: Policy | None
    clients: list[WitnessClient] = field(default_factory=list)

    @classmethod
    def of(cls, policy: Policy | None) -> Witnesses:
        """Those of this policy; none without one."""
        found = policy.witnesses if policy is not None else ()
        return cls(policy, [WitnessClient(each) for each in found if each.url])

    def renewed(self, policy: Policy | None) -> Witnesses:
        """These, when the policy is still the same; else those of the new one."""
        return self if policy == self.policy else Witnesses.of(policy)


def refuse_shorter_log(*, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Ask every witness what it has seen; the names of those that could not be asked.

    Raises LogShorterThanWitnessed, with what to do, when one has seen more than is here, or another log of that size.
    Raises OSError or PolicyInvalid when the policy file is of no use.
    """
    policy = policy_here()
    origin, silent = keys.origin(), []
    for client in Witnesses.of(policy).clients:
        try:
            seen = client.seen(origin, policy.log_keys(origin) if policy else ())
        except WitnessFailed as err:
            log.warning("witness %s could not be asked what it has seen: %s", client.witness.name, err.code)
            silent.append(client.witness.name)
            continue
        if seen is not None:
            _compare(client.witness.name, seen, using)
    return silent


def _compare(name: str, seen: notes.TreeHead, using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position) + 1, 0) FROM audit_entry")
        (here,) = cursor.fetchone()
    if here < seen.size:
        raise LogShorterThanWitnessed(
            f"Witness {name} has seen {seen.size} entries; only {here} are here. This database is an older copy, or"
            " entries were removed. Nothing is served. Restore a newer backup; if there is none, follow"
            " 'The log is shorter than witnessed' in docs/operations.md."
        )
    if seen.size and _root(seen.size, using) != seen.root:
        raise LogShorterThanWitnessed(
            f"Witness {name} has seen another log of {seen.size} entries: what is here was rewritten. Nothing is"
            " served. Keep this database as evidence and follow 'The log is shorter than witnessed' in"
            " docs/operations.md."
        )


def _root(size: int, using: str) -> bytes:
    return subtree_reader(using=using)(0, size)
