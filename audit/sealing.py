"""Sealing: authenticated encryption bound to its place, wrapping of keys, and blind indexes.

The rules (SECURITY 1.3)
 * AES-256-GCM with a random 96-bit nonce: sealed = nonce ‖ ciphertext ‖ tag. A key seals at most 2^32 values
   (NIST SP 800-38D 8.3); a person's key seals some thousands.
 * The associated data is the place: table, column, row and key, each framed by its length, so that no two places share
   it. A value moved to another row, column, person or key does not open.
 * A key is wrapped as any other value is sealed: the same algorithm, its own place.
 * A blind index is HMAC-SHA256 under a key of its column over the normalised value, truncated. It shows which rows hold
   the same value and nothing else; values that are easily guessed (sex, diagnosis) get none.
"""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CONTEXT = b"clinaiops/sealed/v1"
INDEX_CONTEXT = b"clinaiops/blind-index/v1"
KEY_SIZE = 32
NONCE_SIZE = 12
TAG_SIZE = 16
INDEX_SIZE = 16


class NotOpened(Exception):
    """The bytes were not sealed by this key at this place, or have been changed since."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands, and the id of the key it is sealed under."""

    table: str
    column: str
    row_id: str
    key_id: str

    def associated(self) -> bytes:
        """The associated data: the context, then each part after its length in four bytes."""
        return framed(CONTEXT, self.table, self.column, self.row_id, self.key_id)


def framed(context: bytes, *parts: str) -> bytes:
    """Parts in a spelling no other parts share."""
    encoded = [part.encode() for part in parts]
    return context + b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def fresh_key() -> bytes:
    """A random 256-bit key."""
    return secrets.token_bytes(KEY_SIZE)


@lru_cache(maxsize=1024)
def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_SIZE:
        raise ValueError("a key has 32 bytes")
    return AESGCM(key)


def seal(key: bytes, plain: bytes, *, at: Place) -> bytes:
    """`plain` encrypted under `key` for this place."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce + _cipher(key).encrypt(nonce, plain, at.associated())


def seal_once(key: bytes, plain: bytes, *, at: Place) -> bytes:
    """As `seal`, under a key that seals this one value and is not remembered."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce + AESGCM(key).encrypt(nonce, plain, at.associated())


def unseal(key: bytes, sealed: bytes, *, at: Place) -> bytes:
    """What was sealed under `key` for this place. Raises NotOpened."""
    return _opened(_cipher(key), sealed, at)


def unseal_once(key: bytes, sealed: bytes, *, at: Place) -> bytes:
    """As `unseal`, for a key that is not remembered. Raises NotOpened."""
    if len(key) != KEY_SIZE:
        raise NotOpened("a key of another size")
    return _opened(AESGCM(key), sealed, at)


def _opened(cipher: AESGCM, sealed: bytes, at: Place) -> bytes:
    if len(sealed) < NONCE_SIZE + TAG_SIZE:
        raise NotOpened("too short")
    try:
        return cipher.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], at.associated())
    except InvalidTag:
        raise NotOpened(f"{at.table}.{at.column}") from None


def forget_ciphers() -> None:
    """Drop the ciphers kept in memory, when a key is destroyed."""
    _cipher.cache_clear()


def index_key(secret: bytes, *, column: str) -> bytes:
    """The key of a column's blind index, derived from the site's secret."""
    return hmac.digest(secret, framed(INDEX_CONTEXT, column), "sha256")


def blind_index(key: bytes, value: str, *, fold: bool = False, size: int = INDEX_SIZE) -> bytes:
    """The index of `value`, `size` bytes. Unicode is normalised (NFC) and outer space cut; `fold` drops case and
    inner runs of space as well, for names.
    """
    said = unicodedata.normalize("NFC", value).strip()
    if fold:
        said = unicodedata.normalize("NFC", " ".join(said.casefold().split()))
    return hmac.digest(key, said.encode(), "sha256")[:size]
