"""Signed notes, checkpoints and cosignatures in the C2SP form: what we say of the log, who said it, who has seen it.

The rules (C2SP signed-note, tlog-checkpoint, tlog-cosignature)
 * A note is text ending in a newline, an empty line, then signature lines "— name base64(key id ‖ signature)".
 * The key id of an Ed25519 key is the first 4 bytes of SHA-256(name ‖ "\\n" ‖ 0x01 ‖ public key); the verifier key is
   written "name+hex id+base64(0x01 ‖ public key)".
 * Signatures by unknown keys are passed over; a bad signature by a known key refuses the whole note; a note without a
   good signature by a known key is refused. At most 16 signature lines are looked at.
 * A checkpoint's text is origin, size in decimal without leading zeros, root in base64, each on its own line; extension
   lines may follow and may not be empty.
 * A witness's cosignature is a signature line of type 0x04: 8 bytes of big-endian POSIX time ‖ Ed25519 over
   "cosignature/v1\\n" ‖ "time <decimal>\\n" ‖ the checkpoint's text. The time is never zero and below 2^63. A
   witness's key is a type of its own here: it cannot stand where a log's key is asked for, nor the other way round.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_TIME = MAX_SIZE = 2**63 - 1
MAX_NOTE = 1_000_000
MAX_SIGNATURES = 16
_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteInvalid(ValueError):
    """The note is malformed, unsigned or badly signed; `code` says which."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class SignatureKey(Protocol):
    """What a signature line is checked with."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def verifies(self, text: bytes, signature: bytes) -> bool: ...


Key = TypeVar("Key", bound=SignatureKey)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named Ed25519 public key, 32 raw bytes."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return _key_id(self.name, ED25519, self.public)

    def __str__(self) -> str:
        """The key as it is handed round."""
        return _vkey(self.name, ED25519, self.public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key written by `str`; raises NoteInvalid."""
        return cls(*_read_vkey(text, ED25519))

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether the signature over the note's text is this key's."""
        return _ed25519(self.public, text, signature)


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's named Ed25519 public key, 32 raw bytes: it cosigns checkpoints and nothing else."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart, and a cosignature from a plain signature by the same key."""
        return _key_id(self.name, COSIGNATURE, self.public)

    def __str__(self) -> str:
        """The key as it is handed round."""
        return _vkey(self.name, COSIGNATURE, self.public)

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """The key written by `str`; raises NoteInvalid."""
        return cls(*_read_vkey(text, COSIGNATURE))

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` (time ‖ Ed25519) is this witness's cosignature of a checkpoint's text."""
        if len(signature) != 72 or not 0 < (at := cosigned_at(signature)) <= MAX_TIME:
            return False
        return _ed25519(self.public, _cosigned(text, at), signature[8:])


def cosigned_at(signature: bytes) -> int:
    """The POSIX time in a cosignature's bytes, in seconds."""
    return int.from_bytes(signature[:8], "big")


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A good cosignature: whose, and the POSIX second it names."""

    witness: WitnessKey
    at: int


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, taken apart."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> bytes:
        """The line as it stands in the note."""
        return f"— {self.name} {_b64(self.key_id + self.signature)}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart, nothing verified yet. `text` includes its final newline."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a checkpoint states."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> bytes:
        """The checkpoint's text, ready to be signed."""
        lines = (self.origin, str(self.size), _b64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> TreeHead:
        """The statement in a note's text; raises NoteInvalid."""
        lines = text.decode().split("\n")
        if len(lines) < 4 or lines[-1] != "" or "" in lines[:-1]:
            raise NoteInvalid("checkpoint-lines")
        origin, size, root, *extensions = lines[:-1]
        if _SIZE.fullmatch(size) is None or int(size) > MAX_SIZE:
            raise NoteInvalid("checkpoint-size")
        decoded = _unb64(root)
        if len(decoded) != 32:
            raise NoteInvalid("checkpoint-root")
        return cls(origin, int(size), decoded, tuple(extensions))


def sign(text: bytes, *, name: str, key: Ed25519PrivateKey) -> bytes:
    """The note: text, empty line, one signature line."""
    if not text.endswith(b"\n") or _NAME.fullmatch(name) is None:
        raise NoteInvalid("unsignable")
    public = VerifierKey(name, key.public_key().public_bytes_raw())
    return text + f"\n— {name} {_b64(public.key_id + key.sign(text))}\n".encode()


def parse(data: bytes) -> Note:
    """Take a note apart; raises NoteInvalid for anything malformed."""
    if len(data) > MAX_NOTE:
        raise NoteInvalid("too-long")
    try:
        decoded = data.decode("utf-8", "strict")
    except UnicodeDecodeError as err:
        raise NoteInvalid("not-utf8") from err
    if any(ord(char) < 0x20 and char != "\n" for char in decoded):
        raise NoteInvalid("control-character")
    text, found, block = decoded.rpartition("\n\n")
    if not found or not block.endswith("\n"):
        raise NoteInvalid("no-signatures")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteInvalid("too-many-signatures")
    return Note((text + "\n").encode(), tuple(_signature(line) for line in lines))


def _signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "—" or _NAME.fullmatch(name) is None:
        raise NoteInvalid("signature-line")
    raw = _unb64(encoded)
    if len(raw) < 5:
        raise NoteInvalid("signature-line")
    return NoteSignature(name, raw[:4], raw[4:])


def open_note(data: bytes, *, keys: Iterable[Key]) -> tuple[Note, tuple[Key, ...]]:
    """The note and the known keys that signed it; raises NoteInvalid when none did, or when one did badly."""
    note = parse(data)
    good = tuple(dict.fromkeys(key for key, _ in _good_lines(note, keys)))
    if not good:
        raise NoteInvalid("no-known-signature")
    return note, good


def cosign(text: bytes, *, name: str, key: Ed25519PrivateKey, at: int) -> bytes:
    """A witness's signature line for a checkpoint's text, seen at POSIX second `at`."""
    if not text.endswith(b"\n") or _NAME.fullmatch(name) is None or not 0 < at <= MAX_TIME:
        raise NoteInvalid("unsignable")
    public = WitnessKey(name, key.public_key().public_bytes_raw())
    return f"— {name} {_b64(public.key_id + at.to_bytes(8, 'big') + key.sign(_cosigned(text, at)))}\n".encode()


def cosignatures(data: bytes, *, witnesses: Iterable[WitnessKey]) -> tuple[Cosignature, ...]:
    """The good cosignatures by these witnesses, in the note's order, one (the earliest) each.

    There may be none. Raises NoteInvalid when the note is malformed or one of these witnesses' lines is bad.
    """
    note = parse(data)
    earliest: dict[WitnessKey, int] = {}
    for key, signature in _good_lines(note, witnesses):
        earliest[key] = min(cosigned_at(signature), earliest.get(key, MAX_TIME))
    return tuple(Cosignature(key, at) for key, at in earliest.items())


def _good_lines(note: Note, keys: Iterable[Key]) -> list[tuple[Key, bytes]]:
    """The lines of known keys with their signatures; one bad line refuses the note."""
    known = {(key.name, key.key_id): key for key in keys}
    good = []
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if not key.verifies(note.text, line.signature):
            raise NoteInvalid("bad-signature", line.name)
        good.append((key, line.signature))
    return good


def open_checkpoint(data: bytes, *, origin: str, keys: Iterable[VerifierKey]) -> TreeHead:
    """The checkpoint's statement, signed by a known key and about this log; raises NoteInvalid."""
    note, _ = open_note(data, keys=keys)
    head = TreeHead.parse(note.text)
    if head.origin != origin:
        raise NoteInvalid("foreign-checkpoint", head.origin)
    return head


def _cosigned(text: bytes, at: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % at + text


def _ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _key_id(name: str, kind: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _vkey(name: str, kind: int, public: bytes) -> str:
    return f"{name}+{_key_id(name, kind, public).hex()}+{_b64(bytes([kind]) + public)}"


def _read_vkey(text: str, kind: int) -> tuple[str, bytes]:
    """Name and public key of a verifier key of this type; raises NoteInvalid."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _unb64(encoded)
    if _NAME.fullmatch(name) is None or len(raw) != 33 or raw[0] != kind:
        raise NoteInvalid("verifier-key")
    if _key_id(name, kind, raw[1:]).hex() != key_id:
        raise NoteInvalid("verifier-key", "id does not fit the key")
    return name, raw[1:]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes:
    """Standard base64 with padding and no second spelling of the same bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise NoteInvalid("base64") from err
    if _b64(raw) != text:
        raise NoteInvalid("base64")
    return raw
