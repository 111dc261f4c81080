"""Sealed families: drawn by somebody else than the trainer, committed to before training, opened by all custodians.

Rules (DESIGN 6)
 * What is drawn: for each held-out family its strengths, between least and most, and a seed. What is shown before
   training: the sheet, with a SHA-256 commitment to each over a nonce of 32 bytes, and the digests of the tables.
 * What is drawn lies in a box: AES-256-GCM, the sheet being authenticated with it. The key is the exclusive-or of one
   share per custodian, so that fewer than all of them hold nothing of it.
 * Opening checks everything again: the shares belong to this sheet, the box to it, each family to its commitment, and
   the tables are those it was drawn over. What does not fit is refused by name.
 * Randomness is handed in as a function from a count to that many bytes of a cryptographic source.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..table_files import read_table
from .families import families
from .parameters import Parameters, published

Entropy = Callable[[int], bytes]
PREFIX = b"clinaiops simulated family v1\x00"
TABLES = ("cohort_parameters", "cohort_drugs", "cohort_families")
KEY_BYTES, NONCE_BYTES, BOX_NONCE_BYTES = 32, 32, 12
LEAST_CUSTODIANS, MOST_CUSTODIANS = 2, 16
_SHARE = re.compile(r"share (\d+) of (\d+) ([0-9a-f]{64}) ([0-9a-f]{64})")


class NotOpened(ValueError):
    """A box that does not open: a share is missing or of another box, something was changed, the tables are others."""


@dataclass(frozen=True, slots=True)
class SealedFamily:
    """One family as drawn: its changed numbers and its seed; `nonce` keeps the commitment from being guessed."""

    name: str
    numbers: tuple[tuple[str, float], ...]
    seed: int
    nonce: str

    def canonical(self) -> bytes:
        """The bytes that are committed to. Numbers are written as their shortest text."""
        numbers = {name: repr(value) for name, value in self.numbers}
        return _canonical({"name": self.name, "numbers": numbers, "seed": str(self.seed), "nonce": self.nonce})

    def commitment(self) -> str:
        """SHA-256, hexadecimal."""
        return hashlib.sha256(PREFIX + self.canonical()).hexdigest()

    def parameters(self) -> Parameters:
        """The published parameters with this draw's numbers."""
        return published().changed(dict(self.numbers))


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing leaves: the public sheet and box (as one JSON object), and one line of text for each custodian."""

    box: Mapping[str, object]
    shares: tuple[str, ...]


def sheet_digest(sheet: Mapping[str, object]) -> str:
    """SHA-256 of the sheet: what is registered before training."""
    return hashlib.sha256(_canonical(sheet)).hexdigest()


def seal(custodians: int, entropy: Entropy) -> Sealed:
    """Draw every held-out family and lock it for this many custodians, of whom all must open it."""
    if not LEAST_CUSTODIANS <= custodians <= MOST_CUSTODIANS:
        raise NotOpened(f"{custodians} custodians: between {LEAST_CUSTODIANS} and {MOST_CUSTODIANS} are needed")
    drawn = [_drawn(name, entropy) for name, one in families().items() if one.held_out]
    sheet: dict[str, object] = {
        "sheet": "sealed_families",
        "version": 1,
        "custodians": custodians,
        "commitments": {one.name: one.commitment() for one in drawn},
        "tables": _tables(),
    }
    key, nonce = entropy(KEY_BYTES), entropy(BOX_NONCE_BYTES)
    content = b"\n".join(one.canonical() for one in drawn)
    locked = AESGCM(key).encrypt(nonce, content, _canonical(sheet))
    parts = [entropy(KEY_BYTES) for _ in range(custodians - 1)]
    parts.append(reduce(_xor, parts, key))
    mark = sheet_digest(sheet)
    shares = tuple(f"share {at} of {custodians} {mark} {part.hex()}" for at, part in enumerate(parts, start=1))
    return Sealed({"sheet": sheet, "nonce": nonce.hex(), "locked": locked.hex()}, shares)


def _drawn(name: str, entropy: Entropy) -> SealedFamily:
    seed = int.from_bytes(entropy(8)) >> 1
    numbers = families()[name].drawn(np.random.default_rng(int.from_bytes(entropy(16))))
    return SealedFamily(name, tuple(sorted(numbers.items())), seed, entropy(NONCE_BYTES).hex())


def unseal(box: Mapping[str, object], shares: Sequence[str]) -> Mapping[str, SealedFamily]:
    """The families in a box, by name. Raises `NotOpened`."""
    try:
        sheet, nonce, locked = box["sheet"], bytes.fromhex(str(box["nonce"])), bytes.fromhex(str(box["locked"]))
        wanted, commitments = int(sheet["custodians"]), dict(sheet["commitments"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as err:
        raise NotOpened(f"this is no box of sealed families: {err}") from err
    assert isinstance(sheet, dict)  # noqa: S101 - it was asked by name just now
    if sheet.get("tables") != _tables():
        raise NotOpened("the families were drawn over other tables than those installed here")
    key = _key(shares, wanted, sheet_digest(sheet))
    try:
        content = AESGCM(key).decrypt(nonce, locked, _canonical(sheet))
    except (InvalidTag, ValueError) as err:
        raise NotOpened("the shares do not open this box, or it was changed") from err
    found = {one.name: one for one in map(_read, content.splitlines())}
    if {name: one.commitment() for name, one in found.items()} != commitments:
        raise NotOpened("a family is not the one that was committed to")
    return found


def _key(shares: Sequence[str], wanted: int, mark: str) -> bytes:
    """The key from all shares, each once. Raises `NotOpened`."""
    parts: dict[int, bytes] = {}
    for share in shares:
        said = _SHARE.fullmatch(share.strip())
        if said is None:
            raise NotOpened("a share is not written as one")
        if said[3] != mark or int(said[2]) != wanted:
            raise NotOpened(f"share {said[1]} belongs to another box")
        parts[int(said[1])] = bytes.fromhex(said[4])
    missing = sorted(set(range(1, wanted + 1)) - set(parts))
    if missing:
        raise NotOpened(f"{len(parts)} of {wanted} shares; missing: {', '.join(map(str, missing))}")
    return reduce(_xor, parts.values())


def _read(line: bytes) -> SealedFamily:
    said = json.loads(line)
    numbers = tuple(sorted((str(name), float(value)) for name, value in said["numbers"].items()))
    return SealedFamily(str(said["name"]), numbers, int(said["seed"]), str(said["nonce"]))


def _tables() -> dict[str, str]:
    return {name: read_table(name).ref.digest for name in TABLES}


def _canonical(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
