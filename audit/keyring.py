"""Keys to personal data: the site keys on disk, and the data keys they wrap (SECURITY 1.3).

The rules
 * A site key (KEK) is a file `site-<n>.kek` of 32 bytes in the folder of keys; the newest wraps. The database holds
   data keys only wrapped, so a dump of it opens nothing.
 * A data key (DEK) belongs to one person, by pseudonym, or to the site itself (no person).
 * The database is asked each time whether a data key is still there. What is remembered in this process is only the
   unwrapping of exactly these wrapped bytes: a key destroyed, or made in a transaction that was rolled back, is not
   used.
 * A site key that is missing is named. Nothing is made anew in its stead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from audit import sealing

_SITE_KEY = re.compile(r"site-([1-9][0-9]{0,8})")


class KeyLost(Exception):
    """A key that the record needs is gone. A fault: put the key back."""


class KeyUnsound(Exception):
    """A data key does not open under the site key it names: changed, moved, or wrapped by another. A fault."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key as stored: wrapped. `subject` is the person's pseudonym, None for the site's own."""

    id: UUID
    subject: str | None
    kek_id: str
    wrapped: bytes

    def place(self) -> sealing.Place:
        """Where it is sealed: its row, its person, under its site key."""
        return sealing.Place("audit_datakey", "wrapped", f"{self.id}/{self.subject or ''}", self.kek_id)


def keys_dir() -> Path:
    """The folder of the site's secrets."""
    configured = getattr(settings, "AUDIT_KEYS_DIR", None)
    return Path(configured) if configured else _under(settings.HOME.path)


@lru_cache(maxsize=4)
def _under(home: Path) -> Path:
    return home / "keys"


def site_key_names() -> list[str]:
    """The site keys on disk, oldest first."""
    found = [path.stem for path in keys_dir().glob("site-*.kek") if _SITE_KEY.fullmatch(path.stem)]
    return sorted(found, key=site_key_number)


def site_key_number(name: str) -> int:
    """n of `site-<n>`. Raises KeyLost for what is not such a name."""
    if (match := _SITE_KEY.fullmatch(name)) is None:
        raise KeyLost(f"{name[:80]!r} is not the name of a site key")
    return int(match.group(1))


def site_key(name: str) -> bytes:
    """The site key of that name. Raises KeyLost when its file is missing or is not one key."""
    return _read_site_key(keys_dir(), name)


@lru_cache(maxsize=16)
def _read_site_key(folder: Path, name: str) -> bytes:
    site_key_number(name)
    path = folder / f"{name}.kek"
    try:
        key = path.read_bytes()
    except OSError as err:
        raise KeyLost(
            f"{path} cannot be read ({err.strerror}): keys of people are wrapped by it, put it back"
        ) from None
    if len(key) != sealing.KEY_SIZE:
        raise KeyLost(f"{path} has {len(key)} bytes and is not a site key: put the right one back")
    return key


def unwrap(stored: DataKey) -> bytes:
    """The data key itself. Raises KeyLost (its site key is gone) or KeyUnsound (it does not open)."""
    return _unwrap(stored, site_key(stored.kek_id))


@lru_cache(maxsize=4096)
def _unwrap(stored: DataKey, kek: bytes) -> bytes:
    try:
        key = sealing.unseal(kek, stored.wrapped, at=stored.place())
    except sealing.NotOpened:
        raise KeyUnsound(f"data key {stored.id} does not open under {stored.kek_id}") from None
    if len(key) != sealing.KEY_SIZE:
        raise KeyUnsound(f"data key {stored.id} has another size")
    return key


def forget() -> None:
    """Drop every opened key from this process's memory."""
    _unwrap.cache_clear()
    _read_site_key.cache_clear()
    sealing.forget_ciphers()


def live_keys(ids: Iterable[UUID], *, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, bytes]:
    """The data keys of those ids that are not destroyed, opened; one question for all. Raises KeyLost, KeyUnsound."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT id, subject, kek_id, wrapped FROM audit_datakey WHERE id = ANY(%s) AND destroyed_at IS NULL",
            [wanted],
        )
        return {row[0]: unwrap(DataKey(row[0], row[1], row[2], bytes(row[3]))) for row in cursor.fetchall()}
