"""Who this witness is: a key in a file of its own, made with its state at the first start and never without it.

The rules
 * A key without its state would cosign a log anew from nothing, a shorter one as well as any: it is refused
   (`state-lost`). State without its key is refused too (`key-lost`). Either way the remedy is a new witness under a new
   name, and a new policy: a witness is never restored from a backup.
 * The file is readable by its owner alone: two lines, the name and the 32 secret bytes in base64.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.notes import NoteInvalid, WitnessKey
from audit.witness.store import Store


class IdentityRefused(Exception):
    """This witness cannot start as who it was; `code` says why."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


def identity(path: Path, *, name: str | None, store: Store) -> tuple[str, Ed25519PrivateKey]:
    """Name and key, made together with the state at the first start. Raises IdentityRefused."""
    coming = path.with_name(path.name + ".new")
    state = store.vkey()
    if not path.exists():
        if state is None:
            _make(coming, name=name, store=store)
        elif not coming.exists() or _vkey(*_read(coming)) != state:
            raise IdentityRefused("key-lost", f"{path} is gone and its state is not")
        coming.replace(path)
        state = store.vkey()
    found, key = _read(path)
    if state is None:
        raise IdentityRefused("state-lost", "a key without its state would cosign a shorter log")
    if _vkey(found, key) != state:
        raise IdentityRefused("another-key", "the state is another witness's")
    if name is not None and name != found:
        raise IdentityRefused("another-name", f"this witness is {found}")
    return found, key


def _make(path: Path, *, name: str | None, store: Store) -> None:
    """A key under a passing name, then the state that names it; the caller moves the key into its place."""
    if name is None:
        raise IdentityRefused("no-name", "the first start needs --name")
    key = Ed25519PrivateKey.generate()
    try:
        WitnessKey.parse(_vkey(name, key))
    except NoteInvalid as err:
        raise IdentityRefused("name", "a name has no spaces and no plus sign") from err
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{name}\n{base64.b64encode(key.private_bytes_raw()).decode()}\n")
        file.flush()
        os.fsync(file.fileno())
    store.create(_vkey(name, key))


def _read(path: Path) -> tuple[str, Ed25519PrivateKey]:
    try:
        name, secret, rest = path.read_text(encoding="utf-8").split("\n")
        if rest:
            raise ValueError(rest)
        return name, Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret, validate=True))
    except (ValueError, binascii.Error) as err:
        raise IdentityRefused("key-file", f"{path} is no witness key") from err


def _vkey(name: str, key: Ed25519PrivateKey) -> str:
    return str(WitnessKey(name, key.public_key().public_bytes_raw()))
