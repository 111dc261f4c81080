"""What came in and could not be taken is kept where it can be looked at, and said in the record.

Rules
 * The body is kept as it came, cut at `MAX_KEPT` characters; what text cannot hold (NUL, broken UTF-8) is escaped.
 * The same body from the same sender is kept once, however often it is sent.
 * Keeping is an act of its own: it runs in its own transaction, after the refused one has rolled back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Purpose
from governance.services import Acting

from ..models import ImportRefusal
from .events import note

MAX_KEPT = 64 * 1024


@dataclass(frozen=True, slots=True)
class RefusedBody:
    """What was refused: from where, what it was meant to be, why (`reason` is the stable code), and its bytes."""

    source_system: str
    source_id: str
    resource_type: str
    reason: str
    detail: str
    body: bytes


def keep_refused(refused: RefusedBody, *, patient_id: UUID | None, by: Acting, now: datetime) -> ImportRefusal:
    """Keep what was refused, or return it when the same was kept before."""
    digest = hashlib.sha256(f"{refused.source_system}|{patient_id}|".encode() + refused.body).hexdigest()
    with transaction.atomic():
        known = ImportRefusal.objects.filter(body_sha256=digest).first()
        if known is not None:
            return known
        entry = note(
            "reading.quarantined",
            of=("refusal", uuid4(), None),
            by=by,
            now=now,
            patient_id=patient_id,
            reason=refused.reason,
            payload={"resource": refused.resource_type, "body_sha256": digest},
            purpose=Purpose.SAFETY,
        )
        kept, _ = ImportRefusal.objects.get_or_create(
            body_sha256=digest,
            defaults={
                "source_system": refused.source_system,
                "source_id": refused.source_id[:200],
                "resource_type": refused.resource_type,
                "reason": refused.reason[:60],
                "detail": _plain(refused.detail)[:2000],
                "body": _plain(refused.body.decode("utf-8", "backslashreplace"))[:MAX_KEPT],
                "refused_at": now,
                "entry": entry.entry_id,
            },
        )
        return kept


def _plain(text: str) -> str:
    escaped = text.replace("\x00", "\\x00")
    return escaped.encode("utf-8", "backslashreplace").decode()
