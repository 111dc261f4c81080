"""A signature: printed name, time and meaning, bound to the digest of the record as it was shown (21 CFR 11.50, 11.70).

Rules
 * Only a person with an account signs; the caller has checked that the role allows what is signed.
 * The digest is SHA-256 over the context string and the canonical JSON of the record, so a signature cannot be carried
   to another record (SECURITY 3.4).
 * `method` says how it was made. "session" is attested by this application alone and is shown as such.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audit import canonical
from audit.domain import Esign, Event, ObjectRef
from audit.services import append

from ..models import Signature
from .acting import Acting

CONTEXT = b"clinaiops/esign/v1"


def record_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the record as shown, under the signature's own context."""
    return hashlib.sha256(CONTEXT + canonical.dumps(dict(record))).hexdigest()


def sign(
    record: Mapping[str, Any], *, meaning: str, by: Acting, now: datetime, subject: str | None = None
) -> tuple[Signature, Esign]:
    """Sign `record` (JSON without floats) with `meaning`, in the caller's transaction.

    Returns the row and the form in which the entry carries it.
    """
    signer = by.person()
    digest = record_digest(record)
    role = getattr(by.actor, "role", "")
    esign = Esign(meaning=meaning, record=digest, method="session", name_shown=signer.printed_name)
    row = Signature(
        signer=signer,
        name_shown=signer.printed_name,
        role=role,
        meaning=meaning,
        record_digest=digest,
        method=esign.method,
        signed_at=now,
    )
    appended = append(
        Event(
            type="signature.made",
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type="signature", id=str(row.pk), version=1),
            subject=subject,
            esign=esign,
            payload={"record": dict(record)},
        )
    )
    row.entry = appended.entry_id
    row.save(force_insert=True)
    return row, esign
