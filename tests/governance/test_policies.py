"""A policy is a new version with author, reason and date, never in the past, never edited; an absent one is absent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from governance.domain import BadInput, NotAllowed, Role
from governance.models import PolicyVersion
from governance.selectors import policy_in_force, site_mode
from governance.services import acting_device, acting_job, set_policy
from tests.governance.people import acting, founded, now, staff

pytestmark = pytest.mark.django_db


def test_the_newest_version_whose_date_has_come_is_in_force():
    at = now()
    admin = founded(at)
    assert policy_in_force("operating_mode", "hypertension", now=at) is None
    assert site_mode(now=at) == "off"
    for days, mode in ((0, "simulation"), (7, "live")):
        when = at + timedelta(days=days)
        body = {"mode": mode, "patient_directed": False}
        given = {"body": body, "reason": "a site begins", "effective_from": when, "by": acting(admin, at), "now": at}
        set_policy("operating_mode", "hypertension", **given)
    assert site_mode(now=at + timedelta(days=7) - timedelta(seconds=1)) == "simulation"
    assert site_mode(now=at + timedelta(days=7)) == "live"
    found = policy_in_force("operating_mode", "hypertension", now=at)
    assert found is not None
    assert found.ref == "operating_mode:hypertension@1"
    assert found.digest == PolicyVersion.objects.get(version=1).digest


def test_only_an_administrator_sets_one_and_never_for_the_past():
    at = now()
    admin = founded(at)
    clinician = staff(Role.CLINICIAN, by=admin, at=at)
    given = {"body": {"mode": "live"}, "reason": "x", "now": at}
    for by in (acting(clinician, at), acting_job("night", "1"), acting_device("cuff")):
        with pytest.raises(NotAllowed):
            set_policy("operating_mode", "hypertension", effective_from=at, by=by, **given)
    early = at - timedelta(seconds=1)
    with pytest.raises(BadInput):
        set_policy("operating_mode", "hypertension", effective_from=early, by=acting(admin, at), **given)
    assert PolicyVersion.objects.count() == 0


def test_a_version_once_set_stays_as_it_is():
    at = now()
    by = acting(founded(at), at)
    set_policy("operating_mode", "x", body={"mode": "off"}, reason="x", effective_from=at, by=by, now=at)
    for act in (lambda: PolicyVersion.objects.update(body="{}"), PolicyVersion.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()
