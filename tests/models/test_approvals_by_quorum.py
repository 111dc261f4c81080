"""Approvals of a predictor are counted by the quorum: role held, this digest, in time; a site may ask for more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.domain import Role
from governance.policy_kinds import PolicyKind, choices_body
from governance.quorum import QuorumAct
from governance.quorum_rules import shipped
from governance.services.accounts import revoke_role
from models.registry.services import NotApproved, activate, approve, register
from models.registry.services.approving import missing_approvals
from tests.governance.people import acting, founded, now, staff
from tests.models.test_registry import CARD
from tests.policies import put_in_force

pytestmark = pytest.mark.django_db


@pytest.fixture
def site():
    at = now()
    admin = founded(at)
    people = {"admin": admin, "at": at}
    for role in (Role.DATA_SCIENTIST, Role.CLINICIAN, Role.PHARMACIST, Role.RESPONSIBLE_AI_LEAD, Role.ML_ENGINEER):
        people[role.value] = staff(role, by=admin, at=at)
    by = acting(people["data_scientist"], at)
    people["version"] = register("p", "1", pathway="hypertension", digest="a" * 64, card=CARD, by=by, now=at)
    for name in ("clinician", "pharmacist"):
        approve(people["version"], by=acting(people[name], at), now=at)
    return people


def missing(site, *, later: timedelta = timedelta()) -> int:
    return sum(seat.count for seat in missing_approvals(site["version"], now=site["at"] + later))


def test_two_count_until_a_role_ends_or_time_runs_out(site):
    lives = shipped().rule(QuorumAct.MODEL).lives
    assert missing(site) == 0
    assert missing(site, later=lives - timedelta(seconds=1)) == 0
    assert missing(site, later=lives) == 2
    revoke_role(site["pharmacist"].pk, Role.PHARMACIST, by=acting(site["admin"], site["at"]), now=site["at"])
    assert missing(site, later=timedelta(seconds=1)) == 1
    with pytest.raises(NotApproved) as refusal:
        activate(site["version"], by=acting(site["clinician"], site["at"]), now=site["at"] + timedelta(seconds=1))
    assert refusal.value.extra["missing"][0]["count"] == 1


def test_a_sites_gate_asks_for_a_third(site):
    at = site["at"]
    body = choices_body(PolicyKind.GATE_THRESHOLDS, {"model_approvers": "model_approvers_3"})
    approvers = [acting(site[name], at) for name in ("clinician", "responsible_ai_lead")]
    by = acting(site["admin"], at)
    put_in_force("gate_thresholds", "hypertension", body=body, by=by, approvers=approvers, now=at)
    assert missing(site) == 1
    with pytest.raises(NotApproved):
        activate(site["version"], by=acting(site["clinician"], at), now=at)
    approve(site["version"], by=acting(site["ml_engineer"], at), now=at)
    activate(site["version"], by=acting(site["clinician"], at), now=at)
    site["version"].refresh_from_db()
    assert site["version"].active
