"""The log's own secrets on disk: the tenant's key, the log's name, the key of statements. The signer holds the log's.

The rules
 * They live in `keys/` under the state home (setting AUDIT_KEYS_DIR), mode 0600, folder 0700, and are made once, by
   whichever process comes first; the others read what it made.
 * Nothing is made anew under a record that already has entries: a lost key is named, never silently replaced.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from audit import keyring
from audit.entries import check_origin
from audit.notes import VerifierKey
from audit.selectors import holds, named_objects

KeyLost = keyring.KeyLost
keys_dir = keyring.keys_dir


def origin() -> str:
    """The log's own name, in every leaf and checkpoint. A site sets AUDIT_ORIGIN; else it is drawn once."""
    configured = getattr(settings, "AUDIT_ORIGIN", "")
    return check_origin(configured or _kept(keys_dir(), "log.origin", _draw_origin, "audit_pending").decode())


def tenant_key() -> bytes:
    """The key under which patients are pseudonymised in the log."""
    return _kept(keys_dir(), "tenant.key", _draw_key, "audit_pending")


def pinned(name: str, draw: Callable[[], bytes]) -> bytes:
    """What was learnt once and is trusted from then on, under that name beside the secrets."""
    return _kept(keys_dir(), name, draw, None)


def wrapping_site_key() -> str:
    """The name of the site key that wraps: the newest on disk that an entry names, else the first. One that was only
    drawn waits until it is on every machine and named. The first of all is drawn when nothing was ever wrapped.
    """
    if not (names := keyring.site_key_names()):
        _kept.__wrapped__(keys_dir(), "site-1.kek", _draw_key, "audit_datakey")
        return "site-1"
    if len(names) == 1:
        return names[0]
    named = named_objects("site_key")
    return next((name for name in reversed(names) if name in named), names[0])


def draw_site_key(number: int) -> str:
    """A new site key `site-<number>.kek` on disk; its name. One that is there already stays."""
    name = f"site-{number}"
    _kept.__wrapped__(keys_dir(), f"{name}.kek", _draw_key, None)
    return name


def statement_key() -> Ed25519PrivateKey:
    """The key that signs what we promise and hand out: receipts, manifests of exports. One lost is made anew: what the
    old one signed still verifies by the old public half, which the log's genesis and the policy file name.
    """
    return Ed25519PrivateKey.from_private_bytes(_kept(keys_dir(), "statement.key", _draw_key, None))


def statement_name() -> str:
    """The name under which statements are signed."""
    return f"{origin()}/statement"


def statement_vkey() -> VerifierKey:
    """The public half of `statement_key` under its name."""
    return VerifierKey(statement_name(), statement_key().public_key().public_bytes_raw())


def _draw_origin() -> bytes:
    return b"clinaiops.invalid/log/" + secrets.token_hex(8).encode()


def _draw_key() -> bytes:
    return secrets.token_bytes(32)


@lru_cache(maxsize=16)
def _kept(folder: Path, name: str, draw: Callable[[], bytes], made_with_it: str | None) -> bytes:
    """The secret of that name, drawn now if there is none and nothing in the record was made with one."""
    path = folder / name
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if made_with_it and holds(made_with_it):
            raise KeyLost(f"{path} is missing, and the record was begun with it: put it back") from None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(draw())
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails when another process was first: then theirs is the key
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes()
