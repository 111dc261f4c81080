"""Setting a policy: a new version with author, reason and date; the old one stays.

Rules
 * Only who holds SET_POLICY sets one; a version never starts in the past, so it cannot cover what was already done.
 * It is signed like an order: by all components, over its whole body (21 CFR 11.200).
 * The body is canonical JSON and keeps its digest; a decision names the versions it was taken under.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import canonical
from audit.domain import Esign, Event, ObjectRef, Purpose
from audit.services import append

from ..domain import BadInput, Permission, Relation
from ..models import PolicyVersion
from ..permissions import check
from .acting import Acting
from .signatures import sign
from .signing import Act

ON_SIGNING = "on_signing"


def set_policy(
    kind: str,
    subject: str,
    *,
    body: Mapping[str, Any],
    reason: str,
    effective_from: datetime | None = None,
    by: Acting,
    now: datetime,
) -> PolicyVersion:
    """Sign a version of the policy `kind` for `subject`, from its signature on or from a later moment.

    Refuses a moment before `now`; raises `SignatureNeeded`.
    """
    role = check(Permission.SET_POLICY, by.standing, frozenset({Relation.SITE}))
    later = effective_from is not None and effective_from > now
    if effective_from is not None and effective_from < now:
        raise BadInput("A policy cannot start in the past.", field="effective_from")
    encoded = canonical.dumps(dict(body))
    with transaction.atomic():
        newest = PolicyVersion.objects.filter(kind=kind, subject=subject).order_by("-version").values("version").first()
        version = (newest["version"] if newest else 0) + 1
        acted = by.under(role)
        starts = effective_from if effective_from and later else None
        content = _as_shown(f"{kind}:{subject}", version, body=body, reason=reason, starts=starts)
        thing = ObjectRef(type="policy", id=content["policy"], version=version)
        signature, esign = sign(
            content, act=Act("policy.activated", thing), meaning="sets this policy", by=acted, now=now
        )
        said = {"body": dict(body), "reason": reason}
        entry = _enter(thing, said, esign=esign, by=acted, now=now)
        return PolicyVersion.objects.create(
            kind=kind,
            subject=subject,
            version=version,
            body=encoded.decode(),
            digest=hashlib.sha256(encoded).hexdigest(),
            author=by.person(),
            reason=reason,
            effective_from=starts or now,
            signature=signature,
            entry=entry,
        )


def _as_shown(
    policy: str, version: int, *, body: Mapping[str, Any], reason: str, starts: datetime | None
) -> dict[str, Any]:
    """What is signed: which version, its whole body, and from when; at once is from its signature on."""
    return {
        "policy": policy,
        "version": version,
        "body": dict(body),
        "reason": reason,
        "effective_from": starts.isoformat() if starts else ON_SIGNING,
    }


def _enter(thing: ObjectRef, said: Mapping[str, Any], *, esign: Esign, by: Acting, now: datetime) -> UUID:
    event = Event(
        type="policy.activated",
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=thing,
        purpose=Purpose.OPERATIONS,
        esign=esign,
        payload=said,
    )
    return append(event).entry_id
