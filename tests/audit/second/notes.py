"""Keys, signed notes, checkpoints and the policy, as audit/README.md sections 4 and 5 say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .spelling import from_b64
from .verdict import Unusable

_NAME = re.compile(r"[^+\s]+\Z")
_SIZE = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
SIGNS, COSIGNS = 1, 4


@dataclass(frozen=True, slots=True)
class Key:
    """A key as a vkey writes it."""

    name: str
    id: bytes
    type: int
    public: bytes

    @lru_cache(maxsize=20_000)  # noqa: B019  (many bundles of the same few logs are judged in one process)
    def holds(self, text: str, signature: bytes) -> bool:
        """Whether the signature of a note's line is this key's over the text (with the time, where it cosigns)."""
        message = text.encode()
        if self.type == COSIGNS:
            if not 0 < seconds_of(signature) < 2**63:
                return False
            message = f"cosignature/v1\ntime {seconds_of(signature)}\n".encode() + message
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def seconds_of(signature: bytes) -> int:
    """The time in a cosignature; 0 where it is not one."""
    return int.from_bytes(signature[:8], "big") if len(signature) == 72 else 0


def vkey(text: str) -> Key:
    """A key from its written form.

    :raises ValueError: it is malformed, or its key id is not its own
    """
    parts = text.split("+", 2)
    if len(parts) != 3 or not _NAME.match(parts[0]) or not re.match(r"[0-9a-f]{8}\Z", parts[1]):
        raise ValueError("not a vkey")
    data = from_b64(parts[2], 33)
    key_id = hashlib.sha256(parts[0].encode() + b"\n" + data).digest()[:4]
    if key_id.hex() != parts[1] or data[0] not in (SIGNS, COSIGNS):
        raise ValueError("another's key id")
    return Key(parts[0], key_id, data[0], data[1:])


class Malformed(ValueError):
    """Not a signed note."""


class Forged(ValueError):
    """A line by a known key does not verify; the argument is that key."""


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note as it was parsed: nothing about it is verified yet."""

    text: str
    lines: tuple[tuple[str, bytes, bytes], ...]

    def by(self, known: Iterable[Key]) -> list[tuple[Key, bytes]]:
        """The lines by known keys, each verified.

        :raises Forged: one does not verify
        """
        keys: dict[tuple[str, bytes], list[Key]] = {}
        for key in known:
            keys.setdefault((key.name, key.id), []).append(key)
        found = []
        for name, key_id, signature in self.lines:
            candidates = keys.get((name, key_id), [])
            good = [key for key in candidates if key.holds(self.text, signature)]
            if candidates and not good:
                raise Forged(candidates[0])
            found += [(key, signature) for key in good[:1]]
        return found


def note(data: bytes) -> Note:
    """A note from its bytes.

    :raises Malformed: they are none
    """
    if len(data) > 1_000_000:
        raise Malformed("too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError as wrong:
        raise Malformed("not UTF-8") from wrong
    if re.search("[\x00-\x09\x0b-\x1f]", whole):
        raise Malformed("a control character")
    text, divided, signatures = whole.rpartition("\n\n")
    if not divided or not signatures.endswith("\n"):
        raise Malformed("no empty line, or no end")
    lines = signatures[:-1].split("\n")
    if not 1 <= len(lines) <= 16:
        raise Malformed("too many signatures")
    return Note(text + "\n", tuple(_line(line) for line in lines))


def _line(line: str) -> tuple[str, bytes, bytes]:
    words = line.split(" ")
    if len(words) != 3 or words[0] != "—" or not _NAME.match(words[1]):
        raise Malformed("not a signature line")
    try:
        data = from_b64(words[2])
    except ValueError as wrong:
        raise Malformed("not base64") from wrong
    if len(data) < 5:
        raise Malformed("no signature")
    return words[1], data[:4], data[4:]


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes


def head(text: str) -> Head:
    """The checkpoint in a note's text.

    :raises Malformed: it is none
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _SIZE.match(lines[1]):
        raise Malformed("not a checkpoint")
    try:
        return Head(lines[0], int(lines[1]), from_b64(lines[2], 32))
    except ValueError as wrong:
        raise Malformed("not a root") from wrong


@dataclass(frozen=True, slots=True)
class Policy:
    """The auditor's keys; `quorum` is a name, or None when nothing is asked for."""

    logs: tuple[Key, ...]
    statements: tuple[Key, ...]
    witnesses: dict[str, Key]
    groups: dict[str, tuple[int, tuple[str, ...]]]
    quorum: str | None

    def covered_at(self, times: dict[Key, int]) -> int | None:
        """The second by which the cosigners fulfil the quorum; None when they do not."""
        return None if self.quorum is None else self._when(self.quorum, times)

    def _when(self, name: str, times: dict[Key, int]) -> int | None:
        if name in self.witnesses:
            return times.get(self.witnesses[name])
        threshold, members = self.groups[name]
        when = sorted(time for member in members if (time := self._when(member, times)) is not None)
        return when[threshold - 1] if len(when) >= threshold else None


class _PolicyReader:
    """One pass over the policy's lines."""

    def __init__(self) -> None:
        self.logs: list[Key] = []
        self.statements: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.quorums: list[str] = []
        self.publics: set[bytes] = set()
        self.members: set[str] = set()

    def key(self, text: str, kind: int) -> Key:
        key = vkey(text)
        need(key.type == kind and key.public not in self.publics)
        self.publics.add(key.public)
        return key

    def new_name(self, name: str) -> None:
        need(name not in self.witnesses and name not in self.groups and name != "none")

    def line(self, words: list[str]) -> None:
        match words:
            case ["log", text, *url] if len(url) <= 1:
                self.logs.append(self.key(text, SIGNS))
            case ["statement", text]:
                self.statements.append(self.key(text, SIGNS))
            case ["witness", name, text, *url] if len(url) <= 1:
                self.new_name(name)
                self.witnesses[name] = self.key(text, COSIGNS)
            case ["group", name, threshold, *members] if members:
                self.new_name(name)
                self.group(name, threshold, members)
            case ["quorum", name]:
                need(name == "none" or name in self.witnesses or name in self.groups)
                self.quorums.append(name)
            case _:
                raise ValueError("not a line of a policy")

    def group(self, name: str, threshold: str, members: list[str]) -> None:
        needed = {"any": 1, "all": len(members)}.get(threshold) or int(threshold if _SIZE.match(threshold) else 0)
        need(1 <= needed <= len(members) and len(set(members)) == len(members))
        need(
            all(
                (member in self.witnesses or member in self.groups) and member not in self.members for member in members
            )
        )
        self.members.update(members)
        self.groups[name] = (needed, tuple(members))


def need(condition: bool) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise ValueError("malformed")


def policy(data: bytes) -> Policy:
    """The policy from its bytes.

    :raises Unusable: policy-form
    """
    reader = _PolicyReader()
    try:
        text = data.decode()
        need(len(data) <= 65_536 and not re.search("[\x00-\x08\x0b-\x1f\x7f]", text))
        for line in text.split("\n"):
            words = [word for word in re.split("[ \t]+", line) if word]
            if words and not words[0].startswith("#"):
                reader.line(words)
        need(len(reader.quorums) == 1 and bool(reader.logs))
    except ValueError as wrong:
        raise Unusable("policy-form") from wrong
    quorum = None if reader.quorums == ["none"] else reader.quorums[0]
    return Policy(tuple(reader.logs), tuple(reader.statements), reader.witnesses, reader.groups, quorum)
