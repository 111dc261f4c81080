"""Data keys for writing: found, or made when a person is written about the first time.

The rules (SECURITY 1.3)
 * One key per person is alive, under concurrency too: the second maker waits for the first and takes that key.
 * A key made in the caller's transaction goes with it when that is rolled back. Whether a key is alive is asked each
   time: by `key_for`, or by the statement that writes under a key that was only remembered, wrapped.
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
MET_AT_MOST = 4096
_MET: dict[tuple[str, str | None], keyring.DataKey] = {}


class KeyContended(Exception):
    """A fault: the person's key was destroyed each time we looked for it. Try again."""


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A data key in the clear, with the id that goes into the header of what it seals."""

    id: UUID
    key: bytes


def _found(cursor: Any, subject: str | None) -> keyring.DataKey | None:
    """The row of the person's living key."""
    of = "k.subject IS NULL" if subject is None else "k.subject = %s"
    cursor.execute(
        f"SELECT {COLUMNS} FROM audit_datakey k WHERE {of} AND k.destroyed_at IS NULL",  # noqa: S608  (ours)
        [] if subject is None else [subject],
    )
    row = cursor.fetchone()
    return keyring.DataKey(row[0], row[1], row[2], bytes(row[3])) if row else None


def key_for(cursor: Any, subject: str | None) -> OpenKey:
    """The living key of `subject` (a pseudonym; None: the site's own), made now when there is none."""
    for _ in range(ATTEMPTS):
        if found := _found(cursor, subject):
            return OpenKey(found.id, keyring.unwrap(found))
        key, site = sealing.fresh_key(), keys.wrapping_site_key()
        stored = wrapped(keyring.DataKey(uuid.uuid4(), subject, site, b""), key, by=site)
        cursor.execute(_MAKE, [stored.id, stored.subject, stored.kek_id, stored.wrapped])
        if cursor.rowcount == 1:
            return OpenKey(stored.id, key)
    raise KeyContended(f"no data key could be had in {ATTEMPTS} attempts")


def remembered(cursor: Any, subject: str | None, *, using: str) -> OpenKey:
    """As `key_for`, from memory when this process has met the person. What is remembered is the row, wrapped: whoever
    writes under it asks in the same statement whether it is still alive, and calls `forget` when it is not.
    """
    if (stored := _MET.get((using, subject))) is not None:
        try:
            return OpenKey(stored.id, keyring.unwrap(stored))
        except (keyring.KeyLost, keyring.KeyUnsound):  # wrapped anew since: what is stored now is looked at
            forget(subject, using=using)
    found = _found(cursor, subject)
    if found is None:
        return key_for(cursor, subject)
    if len(_MET) >= MET_AT_MOST:
        _MET.clear()
    _MET[using, subject] = found
    return OpenKey(found.id, keyring.unwrap(found))


def forget(subject: str | None, *, using: str) -> None:
    """Ask again next time."""
    _MET.pop((using, subject), None)


def wrapped(stored: keyring.DataKey, key: bytes, *, by: str) -> keyring.DataKey:
    """The same data key wrapped by the site key `by`."""
    moved = replace(stored, kek_id=by, wrapped=b"")
    return replace(moved, wrapped=sealing.seal(keyring.site_key(by), key, at=moved.place()))
