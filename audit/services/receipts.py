"""Receipts for what was just recorded (without asking the database anything more), or is recorded already."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit import entries, receipts
from audit.domain import Appended
from audit.services import keys


def receipt_for(appended: Appended) -> bytes:
    """The signed receipt of an entry just appended. No round trip: everything it says is in `appended`."""
    return _signed(appended.leaf_hash, appended.at)


def receipts_of(entry_ids: Iterable[UUID], *, using: str = DEFAULT_DB_ALIAS) -> dict[UUID, bytes]:
    """The receipts of recorded entries, numbered or pending, by id: the same bytes as were handed out at the time."""
    asked = list(entry_ids)
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT entry_id, leaf FROM audit_entry WHERE entry_id = ANY(%s)"
            " UNION ALL SELECT entry_id, leaf FROM audit_pending WHERE entry_id = ANY(%s)",
            [asked, asked],
        )
        found = {entry_id: bytes(leaf) for entry_id, leaf in cursor.fetchall()}
        cursor.execute("SELECT entry_id, leaf_hash, at FROM audit_detached WHERE entry_id = ANY(%s)", [asked])
        detached = {entry_id: _signed(bytes(leaf_hash), at) for entry_id, leaf_hash, at in cursor.fetchall()}
    said = {entry_id: entries.read_leaf(leaf, origin=keys.origin()) for entry_id, leaf in found.items()}
    return detached | {
        entry_id: _signed(entries.leaf_hash(found[entry_id]), datetime.fromisoformat(entry["at"]))
        for entry_id, entry in said.items()
    }


def _signed(leaf_hash: bytes, at: datetime) -> bytes:
    promise = receipts.Receipt.promise(keys.origin(), leaf_hash, at)
    return receipts.sign(promise, name=keys.statement_name(), key=keys.statement_key())
