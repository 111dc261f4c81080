"""A policy is put forward by one, approved by others, then in force; never in the past, never edited, else absent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from governance.domain import BadInput, NotAllowed, Role
from governance.models import Motion, PolicyVersion, User
from governance.policy_kinds import PolicyKind, choices_body
from governance.quorum import ApprovedAlready, MotionExpired, MotionStatus, MotionVoid, QuorumMissing
from governance.selectors import policy_in_force, site_mode
from governance.selectors.policies import motion_state
from governance.services import acting_device, acting_job, approve_policy, propose_policy, quorum
from governance.services.accounts import revoke_role
from governance.services.quorum import MotionOpen
from tests.governance.people import acting, founded, now, staff
from tests.policies import put_in_force

pytestmark = pytest.mark.django_db
MODE = {"mode": "simulation", "patient_directed": False, "stopped": False, "daily_patient_quota": 0}
AS = ("operating_mode", "hypertension")


@pytest.fixture
def people() -> dict[str, User]:
    at = now()
    admin = founded(at)
    roles = (Role.CLINICIAN, Role.PHARMACIST, Role.COMPLIANCE_OFFICER, Role.ML_ENGINEER)
    return {"admin": admin} | {role.value: staff(role, by=admin, at=at) for role in roles}


def put(people, at, **more):
    given = {"body": MODE, "reason": "a site begins", "by": acting(people["admin"], at), "now": at} | more
    return propose_policy(*AS, **given)


def test_it_holds_from_the_last_approval_on_and_not_before(people):
    at = now()
    motion = put(people, at).motion
    assert site_mode(now=at) == "off"
    clinician, pharmacist = people["clinician"], people["pharmacist"]
    assert approve_policy(motion.pk, by=acting(clinician, at), now=at) is None
    assert site_mode(now=at) == "off"
    later = at + timedelta(minutes=3)
    version = approve_policy(motion.pk, by=acting(pharmacist, later), now=later)
    assert (version.version, version.effective_from, version.author) == (1, later, people["admin"])
    assert site_mode(now=later - timedelta(seconds=1)) == "off"
    assert site_mode(now=later) == "simulation"
    motion.refresh_from_db()
    assert motion.ended == "carried_out"
    found = policy_in_force(*AS, now=later)
    assert (found.ref, found.digest) == ("operating_mode:hypertension@1", version.digest)


def test_the_newest_version_whose_date_has_come_is_in_force(people):
    at, week = now(), timedelta(days=7)
    by = acting(people["admin"], at)
    put_in_force(*AS, body=MODE, by=by, now=at)
    put_in_force(*AS, body=MODE | {"mode": "live"}, by=by, effective_from=at + week, now=at)
    assert site_mode(now=at + week - timedelta(seconds=1)) == "simulation"
    assert site_mode(now=at + week) == "live"


def test_who_may_not_does_not_and_nobody_approves_their_own(people):
    at = now()
    for by in (acting(people["clinician"], at), acting_job("night", "1"), acting_device("cuff")):
        with pytest.raises(NotAllowed):
            put(people, at, by=by)
    with pytest.raises(BadInput):
        put(people, at, effective_from=at - timedelta(seconds=1))
    assert Motion.objects.count() == 0
    motion = put(people, at).motion
    for name in ("admin", "compliance_officer", "ml_engineer"):
        with pytest.raises(NotAllowed):
            approve_policy(motion.pk, by=acting(people[name], at), now=at)
    approve_policy(motion.pk, by=acting(people["clinician"], at), now=at)
    with pytest.raises(ApprovedAlready):
        approve_policy(motion.pk, by=acting(people["clinician"], at), now=at)
    with pytest.raises(NotAllowed):
        approve_policy(motion.pk, by=acting(staff(Role.CLINICIAN, by=people["admin"], at=at), at), now=at)
    assert PolicyVersion.objects.count() == 0


def test_a_role_taken_away_takes_its_approval_with_it(people):
    at = now()
    motion = put(people, at).motion
    approve_policy(motion.pk, by=acting(people["clinician"], at), now=at)
    revoke_role(people["clinician"].pk, Role.CLINICIAN, by=acting(people["admin"], at), now=at)
    assert approve_policy(motion.pk, by=acting(people["pharmacist"], at), now=at) is None
    assert PolicyVersion.objects.count() == 0


def test_time_never_approves(people):
    at = now()
    motion = put(people, at).motion
    over = motion.expires_at
    with pytest.raises(MotionExpired):
        approve_policy(motion.pk, by=acting(people["clinician"], over), now=over)
    assert quorum.expire_motions(by=acting_job("expire", "1"), now=over) == 1
    motion.refresh_from_db()
    assert (motion.ended, PolicyVersion.objects.count()) == ("expired", 0)


def test_one_is_open_at_a_time_and_its_author_or_who_is_asked_ends_it(people):
    at = now()
    motion = put(people, at).motion
    with pytest.raises(MotionOpen), transaction.atomic():
        put(people, at, body=MODE | {"mode": "live"})
    with pytest.raises(NotAllowed):
        quorum.withdraw(motion.pk, reason="no", by=acting(people["clinician"], at), now=at)
    with pytest.raises(NotAllowed):
        quorum.refuse(motion.pk, reason="no", by=acting(people["ml_engineer"], at), now=at)
    quorum.withdraw(motion.pk, reason="better later", by=acting(people["admin"], at), now=at)
    second = put(people, at, body=MODE | {"mode": "live"}).motion
    quorum.refuse(second.pk, reason="too early", by=acting(people["pharmacist"], at), now=at)
    for ended in (motion, second):
        with pytest.raises(QuorumMissing):
            quorum.withdraw(ended.pk, reason="again", by=acting(people["admin"], at), now=at)
    assert list(Motion.objects.order_by("asked_at", "ended").values_list("ended", flat=True)) == [
        "refused",
        "withdrawn",
    ]


def test_stopping_needs_nobody_else_and_makes_void_what_was_put_beside_it(people):
    at = now()
    put_in_force(*AS, body=MODE, by=acting(people["admin"], at), now=at)
    waiting = put(people, at, body=MODE | {"mode": "live"}).motion
    approve_policy(waiting.pk, by=acting(people["clinician"], at), now=at)
    stopped = put(people, at, body=MODE | {"stopped": True})
    assert stopped.version is not None
    assert policy_in_force(*AS, now=at).body["stopped"] is True
    assert motion_state(waiting, now=at).status is MotionStatus.VOID
    with pytest.raises(MotionVoid):
        approve_policy(waiting.pk, by=acting(people["pharmacist"], at), now=at)
    again = put(people, at, body=MODE)
    assert again.version is None
    waiting.refresh_from_db()
    assert waiting.ended == "void"


def test_a_change_of_the_quorums_rule_makes_void_what_waits_and_asks_for_more(people):
    at = now()
    waiting = put(people, at).motion
    chosen = choices_body(PolicyKind.QUORUM_RULES, {"policy_clinical": "policy_clinical_with_compliance"})
    asked = propose_policy("quorum_rules", "site", body=chosen, reason="three", by=acting(people["admin"], at), now=at)
    approve_policy(asked.motion.pk, by=acting(people["clinician"], at), now=at)
    approve_policy(asked.motion.pk, by=acting(people["compliance_officer"], at), now=at)
    assert motion_state(waiting, now=at).status is MotionStatus.VOID
    three = put(people, at).motion
    for name in ("clinician", "pharmacist"):
        assert approve_policy(three.pk, by=acting(people[name], at), now=at) is None
    assert approve_policy(three.pk, by=acting(people["compliance_officer"], at), now=at) is not None


@pytest.mark.parametrize(
    ("kind", "subject", "body"),
    [
        ("colour", "hypertension", MODE),
        ("operating_mode", "", MODE),
        ("operating_mode", "hypertension", {}),
        ("operating_mode", "hypertension", MODE | {"daily_patient_quota": -1}),
        ("operating_mode", "hypertension", MODE | {"daily_patient_quota": True}),
        ("operating_mode", "hypertension", MODE | {"mode": "wild"}),
        ("operating_mode", "hypertension", MODE | {"dose": "5"}),
        ("tier_policy", "hypertension", {"limit": "200"}),
        ("tier_policy", "hypertension", {"choices": {"adherence": "200"}, "rows_sha256": "0" * 64}),
        ("tier_policy", "hypertension", {"choices": {"adherence": "adherence_90"}, "rows_sha256": "0" * 64}),
        ("tier_policy", "hypertension", {"choices": {"interval": "interval_28"}, "rows_sha256": "0" * 64}),
        ("quorum_rules", "hypertension", choices_body(PolicyKind.QUORUM_RULES, {})),
    ],
    ids=range(12),
)
def test_what_is_no_such_policy_is_refused_by_name(people, kind, subject, body):
    at = now()
    with pytest.raises(BadInput):
        propose_policy(kind, subject, body=body, reason="x", by=acting(people["admin"], at), now=at)


def test_a_version_once_set_stays_as_it_is(people):
    at = now()
    put_in_force(*AS, body=MODE, by=acting(people["admin"], at), now=at)
    for act in (lambda: PolicyVersion.objects.update(body="{}"), PolicyVersion.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()
