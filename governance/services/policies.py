"""Setting a policy: a new version with author, reason and date; the old one stays.

Rules
 * Only who holds SET_POLICY sets one; a version never starts in the past, so it cannot cover what was already done.
 * The body is canonical JSON and keeps its digest; a decision names the versions it was taken under.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from audit import canonical
from audit.domain import Event, ObjectRef, Purpose
from audit.services import append

from ..domain import BadInput, Permission, Relation
from ..models import PolicyVersion
from ..permissions import check
from .acting import Acting


def set_policy(
    kind: str,
    subject: str,
    *,
    body: Mapping[str, Any],
    reason: str,
    effective_from: datetime,
    by: Acting,
    now: datetime,
) -> PolicyVersion:
    """Add a version of the policy `kind` for `subject`. Refuses a date before `now`."""
    role = check(Permission.SET_POLICY, by.standing, frozenset({Relation.SITE}))
    if effective_from < now:
        raise BadInput("A policy cannot start in the past.", field="effective_from")
    encoded = canonical.dumps(dict(body))
    with transaction.atomic():
        newest = PolicyVersion.objects.filter(kind=kind, subject=subject).order_by("-version").values("version").first()
        version = (newest["version"] if newest else 0) + 1
        acted = by.under(role)
        appended = append(
            Event(
                type="policy.activated",
                occurred_at=now,
                actor=acted.actor,
                object=ObjectRef(type="policy", id=f"{kind}:{subject}", version=version),
                purpose=Purpose.OPERATIONS,
                payload={"body": dict(body), "reason": reason},
            )
        )
        return PolicyVersion.objects.create(
            kind=kind,
            subject=subject,
            version=version,
            body=encoded.decode(),
            digest=hashlib.sha256(encoded).hexdigest(),
            author=by.person(),
            reason=reason,
            effective_from=effective_from,
            entry=appended.entry_id,
        )
