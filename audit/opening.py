"""Opening what was sealed: payloads of the record. A payload whose key is gone is a value, `Shredded`, not an error.

The rules (SECURITY 1.3, 3.3, 3.6)
 * Each payload has a key and a salt of its own, sealed together under the data key of the person it is about. Without
   that row, or without that data key, nothing opens it: it is shredded.
 * Whether it was shredded lawfully is not asked here: verification compares with the entries.
 * Nothing else reads the body of a payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit import entries, keyring, sealing

PLAIN = "plain/v1"
SEALED = "aes256gcm/v1"


class PayloadUnsound(Exception):
    """A payload has its key and does not open: it, or its key, was changed or moved. A fault."""


class PayloadRow(Protocol):
    """A payload as stored: a row of the table, or what was read from it."""

    @property
    def id(self) -> UUID: ...
    @property
    def alg(self) -> str: ...
    @property
    def salt(self) -> bytes | memoryview[int]: ...
    @property
    def dek_id(self) -> str | None: ...
    @property
    def body(self) -> bytes | memoryview[int]: ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A payload opened: the salt of its commitment and its canonical bytes."""

    salt: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Shredded:
    """A payload that nobody can open any more. Its entry and its commitment stand."""

    payload_id: UUID
    dek_id: str | None


@dataclass(frozen=True, slots=True)
class Unsound:
    """A payload that should open and does not: `why` in words. Only verification wants it as a value."""

    payload_id: UUID
    why: str


def key_place(payload_id: UUID, dek_id: object) -> sealing.Place:
    """Where the key and salt of a payload are sealed."""
    return sealing.Place("audit_payloadkey", "sealed", str(payload_id), str(dek_id))


def body_place(payload_id: UUID, dek_id: object) -> sealing.Place:
    """Where the body of a payload is sealed."""
    return sealing.Place("audit_payload", "body", str(payload_id), str(dek_id))


def open_payload(row: PayloadRow, *, using: str = DEFAULT_DB_ALIAS) -> Plain | Shredded:
    """The payload opened, or Shredded. Raises PayloadUnsound, keyring.KeyLost, keyring.KeyUnsound."""
    return open_payloads([row], using=using)[0]


def open_payloads(rows: Iterable[PayloadRow], *, using: str = DEFAULT_DB_ALIAS) -> list[Plain | Shredded]:
    """Payloads opened in their order, with one question for all their keys. Raises as `open_payload`."""
    opened: list[Plain | Shredded] = []
    for found in look_at(list(rows), using=using):
        if isinstance(found, Unsound):
            raise PayloadUnsound(f"payload {found.payload_id}: {found.why}")
        opened.append(found)
    return opened


_KEYS = """
SELECT k.payload_id, k.dek_id, k.sealed, d.subject, d.kek_id, d.wrapped
FROM audit_payloadkey k LEFT JOIN audit_datakey d ON d.id = k.dek_id AND d.destroyed_at IS NULL
WHERE k.payload_id = ANY(%s)
"""


def look_at(rows: Sequence[PayloadRow], *, using: str = DEFAULT_DB_ALIAS) -> list[Plain | Shredded | Unsound]:
    """As `open_payloads`, with one that does not open as a value. Raises keyring.KeyLost: a file is to be put back."""
    sealed = [row.id for row in rows if row.alg == SEALED]
    held: dict[UUID, tuple[Any, ...]] = {}
    if sealed:
        with connections[using].cursor() as cursor:
            cursor.execute(_KEYS, [sealed])
            held = {row[0]: row[1:] for row in cursor.fetchall()}
    return [_look(row, held.get(row.id)) for row in rows]


def _look(row: PayloadRow, held: tuple[Any, ...] | None) -> Plain | Shredded | Unsound:
    if row.alg == PLAIN:
        return Plain(bytes(row.salt), bytes(row.body))
    if row.alg != SEALED:
        return Unsound(row.id, f"sealed in an unknown way: {row.alg[:40]!r}")
    if held is None or held[4] is None:
        return Shredded(row.id, row.dek_id)
    dek_id, sealed, subject, kek_id, wrapped = held
    if str(dek_id) != row.dek_id:
        return Unsound(row.id, "its key is sealed under the key of somebody else")
    try:
        dek = keyring.unwrap(keyring.DataKey(dek_id, subject, kek_id, bytes(wrapped)))
        both = sealing.unseal(dek, bytes(sealed), at=key_place(row.id, dek_id))
        own, salt = both[: sealing.KEY_SIZE], both[sealing.KEY_SIZE :]
        body = sealing.unseal_once(own, bytes(row.body), at=body_place(row.id, dek_id))
    except (sealing.NotOpened, keyring.KeyUnsound) as err:
        return Unsound(row.id, f"does not open: {err}")
    return Plain(salt, body) if len(salt) == entries.SALT_SIZE else Unsound(row.id, "its salt has another size")
