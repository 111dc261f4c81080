"""How a motion stands: its rule, who has approved, what is missing, and who may give it.

Rules (decision 73)
 * Everything is held against what is so now: the rule in force, who holds which role, and the content as it stands,
   which whoever owns the act hands in.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from audit import canonical

from ..domain import BadInput, NotFound, Role
from ..models import Approval, Motion, RoleHeld, User
from ..policy_kinds import SITE, PolicyKind, values
from ..quorum import Given, MotionStatus, Now, Put, QuorumAct, QuorumState, may_approve, standing
from ..quorum_rules import QuorumTable, rule_of, shipped
from . import policy_in_force


@dataclass(frozen=True, slots=True)
class MotionState:
    """A motion as it stands: the quorum, who approved under which role, and who else may, under which."""

    motion: Motion
    quorum: QuorumState
    approvals: tuple[Approval, ...]
    may: tuple[tuple[User, Role], ...]

    @property
    def status(self) -> MotionStatus:
        """How it stands."""
        return self.quorum.status


def rules_in_force(*, now: datetime) -> QuorumTable:
    """Who must approve what: as shipped, and whom the site's policy asks for besides."""
    policy = policy_in_force(PolicyKind.QUORUM_RULES, SITE, now=now)
    if policy is None:
        return shipped()
    try:
        chosen = values(PolicyKind.QUORUM_RULES, policy.body)
    except BadInput:  # its rows were changed since: what was asked for besides is not known, what is shipped holds
        chosen = {}
    return shipped().with_more({of: Role(role) for of, role in chosen.items()})


def motion(motion_id: uuid.UUID) -> Motion:
    """The motion of that identifier."""
    row = Motion.objects.filter(pk=motion_id).select_related("author", "ended_by").first()
    if row is None:
        raise NotFound("There is no such motion.")
    return row


def newest_motion(subject: str) -> Motion | None:
    """The motion about a subject that is open; where none is, the newest."""
    found = Motion.objects.filter(subject=subject).select_related("author")
    return found.filter(ended="").first() or found.order_by("-asked_at", "-ended_at", "-pk").first()


def open_motions(act: QuorumAct | None = None) -> QuerySet[Motion]:
    """Motions that have not ended, newest first; expired and void ones among them until somebody ends them."""
    found = Motion.objects.filter(ended="").select_related("author").order_by("-asked_at", "-pk")
    return found if act is None else found.filter(act=act.value)


def state_of(row: Motion, *, content: Mapping[str, Any] | None = None, now: datetime) -> MotionState:
    """How a motion stands. `content` is what would be put forward now; None: as it was put."""
    put, given, approvals = _put(row)
    so = now_of(row, content=content, now=now)
    people = {str(user.pk): user for user in User.objects.filter(pk__in=list(so.held), left_at__isnull=True)}
    may = tuple((people[who], role) for who, role in may_approve(put, given, now=so) if who in people)
    return MotionState(row, standing(put, given, now=so), approvals, may)


def put_and_given(row: Motion) -> tuple[Put, tuple[Given, ...]]:
    """The motion and its approvals, as the rule looks at them."""
    put, given, _ = _put(row)
    return put, given


def now_of(row: Motion, *, content: Mapping[str, Any] | None, now: datetime) -> Now:
    """What a motion is held against at `now`."""
    digest = row.digest if content is None else digest_of(row.document | {"content": dict(content)})
    rule = rules_in_force(now=now).rule(QuorumAct(row.act), row.of)
    return Now(digest=digest, rule=rule, held=staff_roles(now=now), at=now)


def staff_roles(*, now: datetime) -> dict[str, frozenset[Role]]:
    """Who holds which roles, by person."""
    held = RoleHeld.objects.filter(since__lte=now, user__left_at__isnull=True, user__is_active=True)
    found: dict[str, set[Role]] = {}
    for user_id, role in held.filter(Q(until__isnull=True) | Q(until__gt=now)).values_list("user_id", "role"):
        found.setdefault(str(user_id), set()).add(Role(role))
    return {who: frozenset(roles) for who, roles in found.items()}


def digest_of(said: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what was put, as canonical JSON."""
    return hashlib.sha256(canonical.dumps(dict(said))).hexdigest()


def _put(row: Motion) -> tuple[Put, tuple[Given, ...], tuple[Approval, ...]]:
    approvals = tuple(row.approvals.select_related("approver").order_by("approved_at", "pk"))
    put = Put(
        author=str(row.author_id),
        digest=row.digest,
        rule=rule_of(row.document["rule"]),
        expires_at=row.expires_at,
        ended=MotionStatus(row.ended) if row.ended else None,
    )
    given = tuple(Given(str(each.approver_id), Role(each.role), each.digest) for each in approvals)
    return put, given, approvals
