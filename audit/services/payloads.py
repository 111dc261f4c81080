"""Payloads sealed on their way in and opened on their way out (SECURITY 3.3).

Opening is `open_payload` and `open_payloads`: a payload whose key is gone is the value `Shredded`.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from uuid import UUID

from audit import entries, sealing
from audit.opening import (
    SEALED,
    PayloadUnsound,
    Plain,
    Shredded,
    body_place,
    key_place,
    open_payload,
    open_payloads,
)
from audit.services.data_keys import OpenKey


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """A payload ready for its two rows: what goes into `audit_payload`, and its key for `audit_payloadkey`."""

    id: UUID
    commit: bytes
    dek_id: UUID
    body: bytes
    key: bytes


def seal_payload(body: bytes, *, under: OpenKey) -> SealedPayload:
    """`body` (canonical bytes) under a key of its own; that key and the salt of the commitment under the data key."""
    payload_id, own, salt = uuid.uuid4(), sealing.fresh_key(), secrets.token_bytes(entries.SALT_SIZE)
    return SealedPayload(
        id=payload_id,
        commit=entries.commitment(salt, body),
        dek_id=under.id,
        body=sealing.seal_once(own, body, at=body_place(payload_id, under.id)),
        key=sealing.seal(under.key, own + salt, at=key_place(payload_id, under.id)),
    )


__all__ = [
    "SEALED",
    "PayloadUnsound",
    "Plain",
    "SealedPayload",
    "Shredded",
    "open_payload",
    "open_payloads",
    "seal_payload",
]
