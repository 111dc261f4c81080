"""The signer's core: it signs the size and root of one log, remembers the last it signed, and refuses what does not
continue it. `python -m audit.signer` runs it as a process of its own; nothing else holds the log's key.

The rules (SECURITY 3.2, C2SP tlog-checkpoint "MUST NOT sign an inconsistent checkpoint")
 * One log: a head of another origin is refused. A smaller size, another root for the same size, an old size other than
   the remembered one, and a proof that does not hold are refused, each by its own code.
 * What is signed is on this process's own disk, flushed, before the signature leaves it. Killed in between, it
   remembers a head nobody has seen, and the next one must continue that: nothing can fork.
 * The memory is made before the key. A key without its memory, or a memory of signatures without its key, is named and
   nothing is signed: an operator puts it back (`--remember` takes a checkpoint this key has signed).
 * While the key is being replaced both keys sign, until the old one is retired in one step (SECURITY 3.6).

No Django, no database, no network: the standard library, `cryptography`, and our own tree and notes.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle, notes


class Refused(Exception):
    """The head is not signed; `code` says why. `remembered` is the size that a proof must start from."""

    def __init__(self, code: str, remembered: int | None = None) -> None:
        super().__init__(code)
        self.code, self.remembered = code, remembered


class NotFit(Exception):
    """The folder cannot be worked from: another signer holds it, or its key or its memory is gone."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last head signed; size 0 with the empty root before the first."""

    size: int
    root: bytes


class Memory:
    """The last head signed for one log, kept in one file that is replaced whole and flushed."""

    def __init__(self, path: Path, origin: str) -> None:
        self._path, self._origin = path, origin
        self.head = self._read()

    def _read(self) -> Head:
        try:
            kept = json.loads(self._path.read_bytes())
            origin, head = kept["origin"], Head(int(kept["size"]), base64.b64decode(kept["root"], validate=True))
        except FileNotFoundError:
            return Head(0, merkle.EMPTY_ROOT)
        except (ValueError, KeyError, TypeError) as err:
            raise NotFit(f"{self._path} cannot be read: put it back from a checkpoint with --remember") from err
        if origin != self._origin:
            raise NotFit(f"{self._path} is of the log {origin}, not of {self._origin}")
        return head

    def keep(self, head: Head) -> None:
        """Remember it; when this returns it is on the disk."""
        kept = {"origin": self._origin, "size": head.size, "root": base64.b64encode(head.root).decode()}
        replace(self._path, json.dumps(kept).encode())
        self.head = head


class Core:
    """One signer: keys, memory, and the one question it answers."""

    def __init__(self, origin: str, keys: Sequence[Ed25519PrivateKey], memory: Memory) -> None:
        self.origin, self._keys, self._memory = origin, tuple(keys), memory

    @property
    def head(self) -> Head:
        """The last head signed."""
        return self._memory.head

    @property
    def verifier_keys(self) -> tuple[notes.VerifierKey, ...]:
        """The public halves, the key in force first; two while it is being replaced."""
        return tuple(notes.VerifierKey(self.origin, key.public_key().public_bytes_raw()) for key in self._keys)

    def sign(self, head: notes.TreeHead, *, old: int, proof: Sequence[bytes]) -> bytes:
        """The signed note for `head`, once `proof` shows that it continues the head remembered, of size `old`.

        Raises Refused: foreign-origin, extensions, size, tree-shrank, old-size, another-root, proof.
        """
        known = self._memory.head
        if head.origin != self.origin:
            raise Refused("foreign-origin")
        if head.extensions:
            raise Refused("extensions")
        if not 0 < head.size <= notes.MAX_SIZE or len(head.root) != merkle.HASH_SIZE:
            raise Refused("size")
        if head.size < known.size:
            raise Refused("tree-shrank", known.size)
        if old != known.size:
            raise Refused("old-size", known.size)
        if head.size == known.size and head.root != known.root:
            raise Refused("another-root", known.size)
        self._continues(known, head, proof)
        if head.size > known.size:
            self._memory.keep(Head(head.size, head.root))
        return self._signed(head.text())

    @staticmethod
    def _continues(known: Head, head: notes.TreeHead, proof: Sequence[bytes]) -> None:
        if known.size == 0:
            if proof:
                raise Refused("proof", 0)
            return
        try:
            merkle.check_consistency(
                old=known.size, new=head.size, proof=proof, old_root=known.root, new_root=head.root
            )
        except merkle.ProofInvalid as err:
            raise Refused("proof", known.size) from err

    def _signed(self, text: bytes) -> bytes:
        first, *others = (notes.sign(text, name=self.origin, key=key) for key in self._keys)
        return first + b"".join(note[len(text) + 1 :] for note in others)


@dataclass(slots=True)
class Folder:
    """The signer's own folder: its keys, its memory, and the lock that keeps a second signer away."""

    path: Path
    origin: str

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder alone; raises NotFit while another signer does."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / "signer.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                raise NotFit(f"another signer works from {self.path}") from err
            yield

    def core(self) -> Core:
        """The signer this folder makes; the first time, its memory and then its key are made."""
        memory_file, key_file = self.path / "memory.json", self.path / "log.key"
        if key_file.exists() and not memory_file.exists():
            raise NotFit(f"{memory_file} is missing beside its key: put it back, or hand a checkpoint to --remember")
        memory = Memory(memory_file, self.origin)
        if not key_file.exists():
            if memory.head.size:
                raise NotFit(f"{key_file} is missing, and {memory.head.size} entries were signed with it: put it back")
            memory.keep(memory.head)
            replace(key_file, self._first_key())
        return Core(self.origin, [_key(path) for path in (key_file, self.next_key) if path.exists()], memory)

    def _first_key(self) -> bytes:
        """A new key, or the one that signed before there was a signer of its own."""
        former = self.path.parent / "log.key"
        return former.read_bytes() if former.exists() else secrets.token_bytes(32)

    @property
    def next_key(self) -> Path:
        """The key that will take over, while there is one."""
        return self.path / "next.key"

    def prepare(self) -> Core:
        """Draw the next key, once; from now on both sign."""
        if not self.next_key.exists():
            replace(self.next_key, secrets.token_bytes(32))
        return self.core()

    def retire(self) -> Core:
        """The next key takes over and the old one is gone, in one step. Raises Refused when there is no next key."""
        if not self.next_key.exists():
            raise Refused("no-next-key")
        self.next_key.replace(self.path / "log.key")
        _flush_folder(self.path)
        return self.core()

    def remember(self, note: bytes) -> Head:
        """Take a checkpoint signed by this folder's key as the last one signed; raises notes.NoteInvalid."""
        key = _key(self.path / "log.key").public_key().public_bytes_raw()
        head = notes.open_checkpoint(note, origin=self.origin, keys=[notes.VerifierKey(self.origin, key)])
        (self.path / "memory.json").unlink(missing_ok=True)
        Memory(self.path / "memory.json", self.origin).keep(Head(head.size, head.root))
        return Head(head.size, head.root)


def _key(path: Path) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except ValueError as err:
        raise NotFit(f"{path} is not a key of 32 bytes") from err


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of the file, whole and flushed, readable by its owner only."""
    draft = path.with_name(f".{path.name}.draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _flush_folder(path.parent)


def _flush_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
