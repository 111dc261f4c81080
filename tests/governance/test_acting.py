"""Who acts: a person with the roles of this moment, a device, a job. The last two never act as a person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction

from audit.domain import ObjectRef
from governance.domain import NotAllowed, Role
from governance.models import User
from governance.services import acting_device, acting_job, acting_person, sign
from governance.services.accounts import leave, revoke_role
from governance.services.signing import Act
from tests.governance.people import acting, founded, now, staff

pytestmark = pytest.mark.django_db


def test_anonymous_inactive_and_departed_people_do_not_act():
    at = now()
    admin = founded(at)
    gone, off = staff(Role.CLINICIAN, by=admin, at=at), staff(Role.CLINICIAN, by=admin, at=at)
    leave(gone.pk, by=acting(admin, at), now=at)
    off.is_active = False  # as the row would be read; the row itself moves only with its entry
    for user in (AnonymousUser(), User.objects.get(pk=gone.pk), off):
        with pytest.raises(NotAllowed):
            acting_person(user, now=at)


def test_a_role_is_held_from_its_first_instant_to_before_its_last():
    at = now()
    admin = founded(at)
    user = staff(Role.CLINICIAN, by=admin, at=at)
    until = at + timedelta(hours=1)
    revoke_role(user.pk, Role.CLINICIAN, by=acting(admin, at), now=until)
    assert acting_person(user, now=at - timedelta(seconds=1)).standing.roles == frozenset()
    assert acting_person(user, now=at).standing.roles == {Role.CLINICIAN}
    assert acting_person(user, now=until).standing.roles == frozenset()


def test_devices_and_jobs_hold_no_role_and_sign_nothing():
    act = Act("order.written", ObjectRef("loop", "1", 1))
    for by in (acting_device("cuff-1"), acting_job("night", "1")):
        assert by.standing.roles == frozenset()
        assert by.under(Role.CLINICIAN) is by
        with pytest.raises(NotAllowed), transaction.atomic():
            sign({"what": "x"}, act=act, meaning="prescribes", by=by, now=now())
