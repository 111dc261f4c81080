"""Whether a predictor has the approvals that its release asks for: the quorum's rule over its own table of approvals.

Rules (N7, GOV-04; decision 73)
 * Two people other than who registered it, over this very digest; each counts under the role of their signature, while
   they still hold it, and as long as the rule says. A site's policy of gates may ask for more people, never for fewer.
 * A predictor that serves goes on serving: approvals are asked for when it is put to work.
"""

from __future__ import annotations

from datetime import datetime

from governance.domain import BadInput, Role
from governance.policy_kinds import PolicyKind, values
from governance.quorum import QuorumAct, Seat, missing_seats
from governance.selectors import policy_in_force
from governance.selectors.quorum import rules_in_force, staff_roles

from ..models import ModelVersion


def missing_approvals(version: ModelVersion, *, now: datetime) -> tuple[Seat, ...]:
    """The seats that its approvals leave open at `now`; none: it may be put to work."""
    rule = rules_in_force(now=now).rule(QuorumAct.MODEL)
    held, roles = staff_roles(now=now), {}
    rows = version.approvals.filter(digest=version.digest, approved_at__gt=now - rule.lives, approved_at__lte=now)
    for row in rows.exclude(approver_id=version.registered_by_id).select_related("signature"):
        role = row.signature.role if row.signature else ""
        if role in held.get(str(row.approver_id), frozenset()):
            roles[row.approver_id] = Role(role)
    found = missing_seats(rule, roles.values())
    more = _gate(version.pathway, now=now) - len(roles)
    if more > 0 and not found:
        return (Seat(rule.seats[0].roles, more),)
    return found


def _gate(pathway: str, *, now: datetime) -> int:
    """How many people the site's policy asks for; zero where it leaves what is shipped."""
    policy = policy_in_force(PolicyKind.GATE_THRESHOLDS.value, pathway, now=now)
    if policy is None:
        return 0
    try:
        return int(values(PolicyKind.GATE_THRESHOLDS, policy.body).get("model_approvers", "0"))
    except BadInput:  # its row was changed since: nobody can say how many, so nothing new is put to work
        return 1_000_000
