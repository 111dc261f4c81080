"""Signed notes, cosignatures, and the policy that says whose count (README 4 to 6; C2SP, four specifications).

* A line by an unknown (name, key id) is passed over; one by a known key that does not verify condemns the note.
* The type is part of the key id: a log's key cannot stand for a witness's, nor the other way round.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.verify.spelling import Refused

PLAIN, COSIGNATURE = 1, 4
_NAME, _CONTROL = re.compile(r"[^\s+]+"), re.compile(rb"[\0-\t\v-\x1f]")
_public = lru_cache(maxsize=256)(Ed25519PublicKey.from_public_bytes)


class NoteInvalid(ValueError):
    """The note is malformed, or a known key's line does not verify; `type` is that key's, 0 for another fault."""

    def __init__(self, detail: str, kind: int = 0) -> None:
        super().__init__(detail)
        self.type = kind


def unb64(text: str) -> bytes:
    """Standard base64 in its one spelling; raises ValueError."""
    if base64.b64encode(raw := base64.b64decode(text, validate=True)).decode() != text:
        raise ValueError("base64")
    return raw


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 signature is this key's."""
    with suppress(InvalidSignature, ValueError):
        _public(public).verify(signature, message)
        return True
    return False


class Key(NamedTuple):
    """A named Ed25519 key; `type` says whether it signs notes or cosigns checkpoints."""

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that stand, with the name, on every line it signs."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    @classmethod
    def parse(cls, vkey: str, kind: int) -> Key:
        """The key of that type as it is written, `name+hex id+base64`; raises ValueError."""
        name, key_id, encoded = vkey.split("+", 2)
        key, raw = cls(name, kind, unb64(encoded)[1:]), unb64(encoded)
        if raw[:1] != bytes([kind]) or len(raw) != 33 or not _NAME.fullmatch(name) or key.id.hex() != key_id:
            raise ValueError("not a key for this use")
        return key

    def signed(self, text: bytes, signature: bytes) -> int | None:
        """The second a cosignature names, 0 for a plain signature; None when it is not good."""
        if self.type == PLAIN:
            return 0 if verifies(self.public, text, signature) else None
        at = int.from_bytes(signature[:8], "big")
        good = 0 < at < 2**63 and verifies(self.public, b"cosignature/v1\ntime %d\n" % at + text, signature[8:])
        return at if good else None


def open_note(data: bytes, keys: Iterable[Key]) -> tuple[bytes, dict[Key, int]]:
    """The text and those of `keys` that signed it, each with its earliest second; raises NoteInvalid."""
    known, good = {(key.name, key.id): key for key in keys}, dict[Key, int]()
    try:
        head, found, block = data.decode().rpartition("\n\n")
        lines = block.split("\n")
        if not found or lines.pop() or len(lines) > 16 or len(data) > 1_000_000 or _CONTROL.search(data):
            raise NoteInvalid("not a note")
        text = f"{head}\n".encode()
        for line in lines:
            dash, name, encoded = line.split(" ")
            raw = unb64(encoded)
            if dash != "—" or not _NAME.fullmatch(name) or len(raw) < 5:
                raise NoteInvalid("signature line")
            if key := known.get((name, raw[:4])):
                if (at := key.signed(text, raw[4:])) is None:
                    raise NoteInvalid(f"the signature of {name} is not good", key.type)
                good[key] = min(at, good.get(key, at))
    except ValueError as err:
        raise err if isinstance(err, NoteInvalid) else NoteInvalid(type(err).__name__) from err
    return text, good


def stated(data: bytes, keys: Iterable[Key], *expected: object) -> None:
    """Raise NoteInvalid unless the note is signed by one of `keys` and its lines are the expected ones."""
    text, signed = open_note(data, keys)
    if not signed or text != "".join(f"{each}\n" for each in expected).encode():
        raise NoteInvalid("not signed by the key asked for, or another statement")


def read_head(text: bytes) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint's text; raises ValueError."""
    origin, size, root, *more = text.decode().removesuffix("\n").split("\n")
    if "" in (origin, *more) or not re.fullmatch("0|[1-9][0-9]{0,18}", size) or len(unb64(root)) != 32:
        raise ValueError("not a checkpoint")
    return origin, int(size), unb64(root)


class Policy:
    """Whose signatures count. Groups keep the order of their definition: members come before them."""

    def __init__(self, data: bytes) -> None:
        """The policy in a file; raises Refused."""
        self.logs, self.statements, self.witnesses, self.quorum = list[Key](), list[Key](), dict[str, Key](), ""
        self.groups, self._taken = dict[str, tuple[int, list[str]]](), set[Any](("none",))
        if len(data) > 65_536 or re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", data):
            raise Refused("policy-form", "too long, or control characters")
        for number, line in enumerate(data.split(b"\n"), 1):
            try:
                words = re.split("[ \t]+", line.decode().strip(" \t"))
                if words[0] and not words[0].startswith("#"):
                    self._read(words)
            except ValueError as err:
                raise Refused("policy-form", f"line {number}: {err}") from err
        if not self.quorum or not self.logs:
            raise Refused("policy-form", "a policy has a log and one quorum")

    def _read(self, words: list[str]) -> None:
        match words:
            case ["log" | "statement" as whose, vkey] | ["log" as whose, vkey, _]:
                self._once((key := Key.parse(vkey, PLAIN)).public)
                (self.logs if whose == "log" else self.statements).append(key)
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._once(name, (key := Key.parse(vkey, COSIGNATURE)).public)
                self.witnesses[name] = key
            case ["group", name, least, *members] if members:
                count = {"any": "1", "all": str(len(members))}.get(least, least)
                if not re.fullmatch("[1-9][0-9]?", count) or int(count) > len(members):
                    raise ValueError("threshold")
                self._once(*(("member", self._known(member)) for member in members), name)
                self.groups[name] = (int(count), members)
            case ["quorum", name]:
                self._once(("quorum",))
                self.quorum = name if name == "none" else self._known(name)
            case _:
                raise ValueError("not a line of a policy")

    def _known(self, name: str) -> str:
        if name not in self.witnesses and name not in self.groups:
            raise ValueError("a name not defined above")
        return name

    def _once(self, *names: Any) -> None:
        if len({*names}) < len(names) or self._taken & {*names}:
            raise ValueError("a name or key twice")
        self._taken |= {*names}

    def judge(self, signed: Mapping[Key, int]) -> tuple[bool, int | None]:
        """Whether these are the quorum, and the second since when (None where none is asked for)."""
        since: dict[str, int | None] = {name: signed.get(key) for name, key in self.witnesses.items()}
        for name, (least, members) in self.groups.items():
            times = sorted(at for member in members if (at := since[member]) is not None)
            since[name] = times[least - 1] if len(times) >= least else None
        return self.quorum == "none" or since[self.quorum] is not None, since.get(self.quorum)
