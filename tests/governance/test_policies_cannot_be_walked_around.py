"""Every way around a quorum, tried: services, bulk update, SQL as the application's role, replay, another's words."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from audit.domain import ObjectRef
from governance.domain import NotAllowed, Role
from governance.models import Approval, Motion, PolicyVersion, RoleHeld, Signature
from governance.quorum import QuorumAct, QuorumMissing
from governance.quorum_rules import shipped
from governance.selectors import site_mode
from governance.services import Act, acting_job, approve_policy, propose_policy, quorum, sign
from governance.services.accounts import revoke_role
from tests.governance.people import acting, founded, now, staff
from tests.policies import put_in_force

pytestmark = pytest.mark.django_db
MODE = {"mode": "simulation", "patient_directed": False, "stopped": False, "daily_patient_quota": 0}
AS = ("operating_mode", "hypertension")


@pytest.fixture
def site():
    """An open motion of the administrator's, and those who may approve it."""
    at = now()
    people = {"admin": founded(at)}
    for role in (Role.CLINICIAN, Role.PHARMACIST, Role.ML_ENGINEER):
        people[role.value] = staff(role, by=people["admin"], at=at)
    people["at"] = at
    put = propose_policy(*AS, body=MODE, reason="a site begins", by=acting(people["admin"], at), now=at)
    people["motion"] = put.motion
    return people


def refused(words: str, statement: str, *values: object) -> None:
    """The database refuses this statement of the application's role, at once or at commit."""
    with pytest.raises(DatabaseError, match=words), transaction.atomic():  # noqa: PT012 - now, or at commit
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def approved(site, name: str):
    return approve_policy(site["motion"].pk, by=acting(site[name], site["at"]), now=site["at"])


def version_as(site, **changed) -> tuple[str, list[object]]:
    """An INSERT of a policy version as the motion would make it, with these columns changed."""
    motion = site["motion"]
    encoded = json.dumps(MODE, sort_keys=True, separators=(",", ":"))
    row = {
        "kind": "operating_mode",
        "subject": "hypertension",
        "version": 1,
        "body": encoded,
        "digest": "",
        "author_id": motion.author_id,
        "reason": "x",
        "effective_from": site["at"],
        "signature_id": motion.signature_id,
        "motion_id": motion.pk,
        "entry": motion.entry,
    } | changed
    row["digest"] = row["digest"] or hashlib.sha256(str(row["body"]).encode()).hexdigest()
    names = ", ".join(row)
    return f"INSERT INTO governance_policyversion ({names}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values())


def test_no_version_without_its_quorum_by_sql(site):
    statement, values = version_as(site)
    refused("no quorum over this very version", statement, *values)
    statement, values = version_as(site, motion_id=None)
    refused("was not put forward", statement, *values)
    approved(site, "clinician")
    statement, values = version_as(site)
    refused("no quorum over this very version", statement, *values)
    assert site_mode(now=site["at"]) == "off"


@pytest.mark.parametrize(
    "changed",
    [
        {"body": json.dumps(MODE | {"mode": "live"}, sort_keys=True, separators=(",", ":"))},
        {"body": json.dumps(MODE | {"stopped": True}, sort_keys=True, separators=(",", ":"))},
        {"version": 2},
        {"version": 7},
        {"subject": "diabetes"},
        {"kind": "tier_policy"},
        {"digest": "0" * 64},
        {"author_id": "clinician"},
        {"effective_from": timedelta(days=-1)},
    ],
    ids="-".join,
)
def test_the_version_that_was_approved_and_no_other(site, changed):
    """Even with a quorum that is met: a second row of the same motion says nothing else than what was approved."""
    approved(site, "clinician")
    approved(site, "pharmacist")
    if "author_id" in changed:
        changed = {"author_id": site["clinician"].pk}
    if "effective_from" in changed:
        changed = {"effective_from": site["at"] + changed["effective_from"]}
    statement, values = version_as(site, **changed)
    refused("no quorum over this very version", statement, *values)
    statement, values = version_as(site, **({"version": 1} | {k: v for k, v in changed.items() if k == "reason"}))
    refused("policy_version_once|motion_id", statement, *values)


def approval_as(site, who: str, **changed) -> tuple[str, list[object]]:
    motion = site["motion"]
    signature = Signature.objects.order_by("-signed_at").first()
    row = {
        "id": uuid4(),
        "motion_id": motion.pk,
        "subject": motion.subject,
        "digest": motion.digest,
        "author_id": motion.author_id,
        "approver_id": site[who].pk,
        "role": who,
        "approved_at": site["at"],
        "signature_id": signature.pk,
        "entry": motion.entry,
    } | changed
    names, places = ", ".join(row), ", ".join(["%s"] * len(row))
    return f"INSERT INTO governance_approval ({names}) VALUES ({places})", list(row.values())


def test_an_approval_is_ones_own_signed_under_a_role_held_and_asked_for(site):
    for who, changed, words in (
        ("clinician", {}, "not signed over this very record"),
        ("clinician", {"role": "pharmacist"}, "does not count"),
        ("ml_engineer", {}, "does not count"),
        ("admin", {"role": "clinician"}, "does not count"),
        ("clinician", {"author_id": site["ml_engineer"].pk}, "does not count"),
        ("clinician", {"digest": "0" * 64}, "does not count"),
        ("clinician", {"approved_at": site["motion"].expires_at}, "does not count"),
        ("clinician", {"approved_at": site["at"] - timedelta(seconds=1)}, "does not count"),
    ):
        statement, values = approval_as(site, who, **changed)
        refused(words, statement, *values)
    approved(site, "clinician")
    given = Approval.objects.get()
    for change in ("digest = repeat('0', 64)", "approver_id = author_id", "role = 'pharmacist'"):
        refused("permission denied|refuse", f"UPDATE governance_approval SET {change}")
    refused("permission denied|refuse", "DELETE FROM governance_approval")
    refused("permission denied|refuse", "TRUNCATE governance_approval")
    again = {"id": uuid4(), "signature_id": given.signature_id}
    statement, values = approval_as(site, "clinician", **again)
    refused("duplicate key", statement, *values)


def test_a_motion_is_what_was_put_and_ends_once_by_its_entry(site):
    key = site["motion"].pk
    refused("permission denied", "UPDATE governance_motion SET said = '{}' WHERE id = %s", key)
    refused("permission denied|refuse", "DELETE FROM governance_motion WHERE id = %s", key)
    end = "UPDATE governance_motion SET ended = %s, ended_at = %s WHERE id = %s"
    refused("has no quorum", end, "carried_out", site["at"], key)
    refused("has not expired", end, "expired", site["at"], key)
    refused("moved without an entry", end, "withdrawn", site["at"], key)
    with pytest.raises(DatabaseError), transaction.atomic():
        Motion.objects.filter(pk=key).update(ended="carried_out", ended_at=site["at"])
    quorum.withdraw(key, reason="no", by=acting(site["admin"], site["at"]), now=site["at"])
    refused("ends once", "UPDATE governance_motion SET ended = '', ended_at = NULL WHERE id = %s", key)
    statement, values = approval_as(site, "clinician")
    refused("does not count", statement, *values)


def test_a_laxer_rule_in_a_motion_does_not_lower_the_floor(site):
    """Even signed by its author: the rule of a motion may ask for more than the floor; with less the floor asks."""
    old, at, by = site["motion"], site["at"], acting(site["admin"], site["at"])
    key = uuid4()
    said = old.document | {"motion": str(key), "subject": "policy:operating_mode:x"}
    said["rule"] = said["rule"] | {"seats": []}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    act = Act("approval.requested", ObjectRef(type="motion", id=str(key), version=1))
    signature, _ = sign(said, act=act, meaning="puts this forward", by=by, now=at)
    columns = "id, act, of, subject, said, digest, author_id, asked_at, expires_at, ended, ended_reason, signature_id"
    insert = f"INSERT INTO governance_motion ({columns}, entry) VALUES ({', '.join(['%s'] * 13)})"
    row = [key, "policy", "operating_mode", said["subject"], text, digest, old.author_id, at, old.expires_at, "", ""]
    row += [signature.pk, old.entry]
    for place, wrong in ((5, "0" * 64), (2, "targets"), (3, "policy:targets:x"), (8, at), (6, site["clinician"].pk)):
        refused("is not what it says|not signed", insert, *[*row[:place], wrong, *row[place + 1 :]])
    with connection.cursor() as cursor:
        cursor.execute(insert, row)
        cursor.execute("SELECT governance_quorum_met(%s)", [key])
        assert cursor.fetchone() == (False,)
    end = "UPDATE governance_motion SET ended = 'carried_out', ended_at = %s WHERE id = %s"
    refused("has no quorum", end, at, key)


def test_nobody_carries_out_what_is_not_approved_and_nothing_twice(site):
    content, by = site["motion"].content, acting(site["admin"], site["at"])
    with pytest.raises(QuorumMissing) as missing:
        quorum.carry_out(site["motion"].pk, content=content, by=by, now=site["at"])
    assert [seat["roles"] for seat in missing.value.extra["missing"]] == [["clinician"], ["pharmacist"]]
    with pytest.raises(NotAllowed):
        quorum.approve(site["motion"].pk, by=acting_job("night", "1"), now=site["at"])
    approved(site, "clinician")
    approved(site, "pharmacist")
    with pytest.raises(QuorumMissing):
        quorum.carry_out(site["motion"].pk, content=content, by=by, now=site["at"])
    assert PolicyVersion.objects.count() == 1


def test_an_approval_of_one_motion_is_no_approval_of_the_next(site):
    approved(site, "clinician")
    quorum.withdraw(site["motion"].pk, reason="again", by=acting(site["admin"], site["at"]), now=site["at"])
    put = propose_policy(*AS, body=MODE, reason="a site begins", by=acting(site["admin"], site["at"]), now=site["at"])
    assert put.motion.digest != site["motion"].digest
    assert approve_policy(put.motion.pk, by=acting(site["pharmacist"], site["at"]), now=site["at"]) is None


def test_the_floor_in_the_database_is_the_table_as_shipped():
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'governance_quorum_met'")
        (source,) = cursor.fetchone()
    rows = re.findall(r"\('(\w+)', '([\w.]*)', '([\w ]*)', (\d)\)", source)
    floor = {(act, of, roles, int(needed)) for act, of, roles, needed in rows}
    table = {
        (row.act.value, of, " ".join(sorted(seat.roles)), seat.count)
        for row in shipped().rows
        for of in row.of
        for seat in row.seats
    } | {("policy", "operating_mode.stop", "", 0)}
    assert floor == table


def test_every_act_has_its_floor_and_an_unknown_one_is_never_met():
    assert {row.act for row in shipped().rows} == set(QuorumAct)
    with connection.cursor() as cursor:
        cursor.execute("SELECT governance_quorum_met(%s)", [uuid4()])
        assert cursor.fetchone() == (False,)


def test_a_role_that_ended_counts_for_nothing_in_the_database_too(site):
    approved(site, "clinician")
    put_in_force("operating_mode", "elsewhere", body=MODE, by=acting(site["admin"], site["at"]), now=site["at"])
    met = "SELECT governance_quorum_met(%s)"
    with connection.cursor() as cursor:
        cursor.execute(met, [PolicyVersion.objects.get(subject="elsewhere").motion_id])
        assert cursor.fetchone() == (True,)
    revoke_role(site["pharmacist"].pk, Role.PHARMACIST, by=acting(site["admin"], site["at"]), now=site["at"])
    assert not RoleHeld.objects.filter(user=site["pharmacist"], until__isnull=True).exists()
    with connection.cursor() as cursor:
        cursor.execute(met, [PolicyVersion.objects.get(subject="elsewhere").motion_id])
        assert cursor.fetchone() == (False,)
