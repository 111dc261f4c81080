"""Data keys for writing: found with the caller's own question, made when a person is written about the first time.

The rules (SECURITY 1.3)
 * One key per person is alive, under concurrency too: the second maker waits for the first and takes that key.
 * A key made in the caller's transaction goes with it when that is rolled back; nothing here remembers that it was.
   Whether a key is alive is asked each time, in the caller's own question.
 * The key is wrapped by the newest site key that is named (`keys.wrapping_site_key`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from audit import keyring, sealing
from audit.services import keys

COLUMNS = "k.id, k.subject, k.kek_id, k.wrapped"
_MAKE = "INSERT INTO audit_datakey (id, subject, kek_id, wrapped) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
ATTEMPTS = 5


class KeyContended(Exception):
    """A fault: the person's key was destroyed each time we looked for it. Try again."""


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A data key in the clear, with the id that goes into the header of what it seals."""

    id: UUID
    key: bytes


def alive(subject: str | None) -> tuple[str, list[str]]:
    """A question for the person's living key, to stand as one value inside a question of the caller's; its values."""
    of = "k.subject IS NULL" if subject is None else "k.subject = %s"
    said = "k.id || ' ' || k.kek_id || ' ' || encode(k.wrapped, 'hex')"
    asked = f"(SELECT {said} FROM audit_datakey k WHERE {of} AND k.destroyed_at IS NULL)"  # noqa: S608  (ours)
    return asked, [] if subject is None else [subject]


def opened(said: str | None, subject: str | None) -> OpenKey | None:
    """The key in the answer to `alive`, None when there is none. Raises keyring.KeyLost, keyring.KeyUnsound."""
    if said is None:
        return None
    key_id, kek_id, wrapping = said.split(" ")
    stored = keyring.DataKey(UUID(key_id), subject, kek_id, bytes.fromhex(wrapping))
    return OpenKey(stored.id, keyring.unwrap(stored))


def key_for(cursor: Any, subject: str | None) -> OpenKey:
    """The living key of `subject` (a pseudonym; None: the site's own), made now when there is none."""
    for _ in range(ATTEMPTS):
        asked, values = alive(subject)
        cursor.execute(f"SELECT {asked}", values)
        if found := opened((cursor.fetchone() or (None,))[0], subject):
            return found
        key, site = sealing.fresh_key(), keys.wrapping_site_key()
        stored = wrapped(keyring.DataKey(uuid.uuid4(), subject, site, b""), key, by=site)
        cursor.execute(_MAKE, [stored.id, stored.subject, stored.kek_id, stored.wrapped])
        if cursor.rowcount == 1:
            return OpenKey(stored.id, key)
    raise KeyContended(f"no data key could be had in {ATTEMPTS} attempts")


def wrapped(stored: keyring.DataKey, key: bytes, *, by: str) -> keyring.DataKey:
    """The same data key wrapped by the site key `by`."""
    moved = replace(stored, kek_id=by, wrapped=b"")
    return replace(moved, wrapped=sealing.seal(keyring.site_key(by), key, at=moved.place()))
