"""Policies in tests come into force as at a site: one puts it forward, a prescriber and a pharmacist approve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from governance.domain import Role
from governance.models import PolicyVersion, RoleHeld, User
from governance.services import Acting, approve_policy, propose_policy
from governance.services.accounts import accept_invitation, invite
from tests.governance.people import account, acting


def put_in_force(
    kind: str,
    subject: str,
    *,
    body: Mapping[str, object],
    reason: str = "test",
    by: Acting,
    approvers: Sequence[Acting] = (),
    effective_from: datetime | None = None,
    now: datetime,
) -> PolicyVersion:
    """Put a policy forward and have it approved by `approvers`, or by whoever of the site may."""
    put = propose_policy(kind, subject, body=body, reason=reason, effective_from=effective_from, by=by, now=now)
    version, others = put.version, iter(approvers or _others(by, now))
    while version is None:
        version = approve_policy(put.motion.pk, by=next(others), now=now)
    return version


def _others(by: Acting, now: datetime) -> list[Acting]:
    """One of each role that a policy may ask for, invited where the site has none yet."""
    found = []
    for role in (Role.CLINICIAN, Role.PHARMACIST):
        held = RoleHeld.objects.filter(role=role.value, until__isnull=True, since__lte=now).exclude(user=by.person())
        row = held.order_by("since", "pk").first()
        found.append(acting(row.user if row else _invited(role, by=by, now=now), now))
    return found


def _invited(role: Role, *, by: Acting, now: datetime) -> User:
    invited = invite(f"{role.value}@example.org", role, by=by, now=now)
    return accept_invitation(invited.token, account(), now=now)[0]
