"""Identifying fields of other apps' tables: sealed under the person's data key, opened in bulk, found by blind index.

The rules (SECURITY 1.3)
 * sealed = 0x01 ‖ id of the data key (16 bytes) ‖ nonce ‖ ciphertext ‖ tag, bound to table, column, row and key. The
   key is that of the person, the same that seals the payloads about them: shredding the person closes both.
 * Rows are opened together with one question for all their keys. A row whose key is destroyed opens as None.
 * What must be found by value (an identifier) has a blind index beside it. Names have none: they are sorted and
   searched among the opened rows of those whom the reader may see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit import entries, keyring, sealing
from audit.services import keys
from audit.services.data_keys import key_for

VERSION = b"\x01"
_HEADER = len(VERSION) + 16


class FieldUnsound(Exception):
    """A sealed field has its key and does not open: changed, or moved from another row or column. A fault."""


@dataclass(frozen=True, slots=True)
class SealedRow:
    """The sealed fields of one row, by column; a column that says nothing is None."""

    table: str
    row_id: str
    fields: Mapping[str, bytes | memoryview[int] | None]


def seal(
    subject: str, *, table: str, row_id: str, values: Mapping[str, str | None], using: str = DEFAULT_DB_ALIAS
) -> dict[str, bytes | None]:
    """`values` by column, sealed for the person `subject` (the identifier their events carry) in the caller's
    transaction. None stays None. Raises keyring.KeyLost, keyring.KeyUnsound.
    """
    pseudonym = entries.pseudonym(subject, tenant_key=keys.tenant_key())
    with connections[using].cursor() as cursor:
        key = key_for(cursor, pseudonym)
    head = VERSION + key.id.bytes
    return {
        column: None
        if value is None
        else head + sealing.seal(key.key, value.encode(), at=sealing.Place(table, column, row_id, str(key.id)))
        for column, value in values.items()
    }


def open_many(rows: Iterable[SealedRow], *, using: str = DEFAULT_DB_ALIAS) -> list[dict[str, str | None] | None]:
    """The fields of each row in the clear, None for a row whose key is destroyed. One question for all.

    Raises FieldUnsound, keyring.KeyLost, keyring.KeyUnsound.
    """
    held = [(row, {name: bytes(value) for name, value in row.fields.items() if value is not None}) for row in rows]
    wanted = {_key_id(row, value) for row, fields in held for value in fields.values()}
    living = keyring.live_keys(wanted, using=using)
    return [_open(row, fields, living) for row, fields in held]


def _open(row: SealedRow, fields: dict[str, bytes], living: dict[UUID, bytes]) -> dict[str, str | None] | None:
    found: dict[str, str | None] = dict.fromkeys(row.fields)
    for column, value in fields.items():
        key_id = _key_id(row, value)
        if (key := living.get(key_id)) is None:
            return None
        try:
            plain = sealing.unseal(key, value[_HEADER:], at=sealing.Place(row.table, column, row.row_id, str(key_id)))
        except sealing.NotOpened:
            raise FieldUnsound(f"{row.table}.{column} of row {row.row_id} does not open") from None
        found[column] = plain.decode()
    return found


def _key_id(row: SealedRow, value: bytes) -> UUID:
    if len(value) < _HEADER or value[: len(VERSION)] != VERSION:
        raise FieldUnsound(f"{row.table} row {row.row_id}: a field is not sealed in a way known here")
    return UUID(bytes=value[len(VERSION) : _HEADER])


def blind_index(column: str, value: str, *, fold: bool = False) -> bytes:
    """The blind index of `value` in `column` ("table.column"), 16 bytes; `fold` disregards case and inner space."""
    return sealing.blind_index(_index_key(keys.tenant_key(), column), value, fold=fold)


@lru_cache(maxsize=32)
def _index_key(secret: bytes, column: str) -> bytes:
    return sealing.index_key(secret, column=column)
