"""Receipts for what was just recorded (without asking the database anything more), or is recorded already."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit import receipts
from audit.domain import Appended
from audit.services import keys


def receipt_for(appended: Appended) -> bytes:
    """The signed receipt of an entry just appended. No round trip: everything it says is in `appended`."""
    return _signed(appended.leaf_hash, appended.at)


def receipts_of(entry_ids: Iterable[UUID], *, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, bytes]:
    """The receipts of entries that stand in the log already, by id: the same bytes as were handed out at the time."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT entry_id, leaf_hash, at FROM audit_entry WHERE entry_id = ANY(%s)", [list(entry_ids)])
        return {entry_id: _signed(bytes(leaf_hash), at) for entry_id, leaf_hash, at in cursor.fetchall()}


def _signed(leaf_hash: bytes, at: datetime) -> bytes:
    promise = receipts.Receipt.promise(keys.origin(), leaf_hash, at)
    return receipts.sign(promise, name=keys.statement_name(), key=keys.statement_key())
