"""A model serves only with its card and two approvals by others than its author, in these very bytes (N7)."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from governance.domain import NotAllowed, Role
from governance.services import acting_device, acting_job
from models.cards import REQUIRED, IncompleteCard
from models.registry.models import ModelApproval, ModelVersion
from models.registry.selectors import serving
from models.registry.services import ApprovedAlready, NotApproved, activate, approve, register
from tests.governance.people import acting, founded, now, staff

pytestmark = pytest.mark.django_db
CARD = dict.fromkeys(REQUIRED, "said in words")


@pytest.fixture
def people(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    at = now()
    admin = founded(at)
    roles = {"author": Role.ML_ENGINEER, "one": Role.CLINICIAN, "two": Role.PHARMACIST, "outsider": Role.AUDITOR}
    return {name: acting(staff(role, by=admin, at=at), at) for name, role in roles.items()}


def registered(people, version: str = "1") -> ModelVersion:
    return register("m", version, pathway="p", digest="d" * 64, card=CARD, by=people["author"], now=now())


def test_two_others_approve_and_then_it_serves(people):
    version = registered(people)
    for approvals, name in enumerate(("one", "two")):
        with pytest.raises(NotApproved) as refusal:
            activate(version, by=people["author"], now=now())
        assert refusal.value.extra["approvals"] == approvals
        assert serving("p") is None
        approve(version, by=people[name], now=now())
    activate(version, by=people["author"], now=now())
    assert serving("p") == version


def test_the_author_an_outsider_a_job_and_a_device_approve_nothing(people):
    version = registered(people)
    for by in (people["author"], people["outsider"], acting_job("night", "1"), acting_device("cuff")):
        with pytest.raises(NotAllowed):
            approve(version, by=by, now=now())
    for by in (acting_job("night", "1"), acting_device("cuff")):
        with pytest.raises(NotAllowed):
            register("m", "9", pathway="p", digest="d" * 64, card=CARD, by=by, now=now())
    assert ModelApproval.objects.count() == 0


def test_one_person_approves_once(people):
    version = registered(people)
    given = approve(version, by=people["one"], now=now())
    with pytest.raises(ApprovedAlready):
        approve(version, by=people["one"], now=now())
    other = approve(version, by=people["two"], now=now())
    given.pk, given.signature_id = None, other.signature_id  # a second row of the same person, by another way
    with pytest.raises(DatabaseError, match="not signed over this very record"), transaction.atomic():
        given.save(force_insert=True)


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_card_that_leaves_a_question_open_is_refused(people, missing):
    with pytest.raises(IncompleteCard) as refusal:
        register("m", "1", pathway="p", digest="d", card=CARD | {missing: "  "}, by=people["author"], now=now())
    assert refusal.value.missing == (missing,)


def test_the_database_refuses_an_active_version_without_two_approvals(people):
    version = registered(people)
    approve(version, by=people["one"], now=now())
    with pytest.raises(DatabaseError, match=r"not approved by two|without a signed release"), transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk).update(active=True)


def test_an_approval_of_other_bytes_or_by_the_author_under_another_name_counts_for_nothing(people):
    version = registered(people)
    first = approve(version, by=people["one"], now=now())
    given = {"model_version": version, "approved_at": now(), "entry": first.entry}
    author, two = people["author"].user, people["two"].user
    with pytest.raises(DatabaseError, match="is not signed"), transaction.atomic():
        ModelApproval.objects.create(registered_by=author, approver=author, digest=version.digest, **given)
    for bent in (
        {"registered_by": two, "approver": author, "digest": version.digest},
        {"registered_by": author, "approver": two, "digest": "e" * 64},
    ):
        for signature in (None, first.signature):  # none, or that of somebody else's approval
            with pytest.raises(DatabaseError, match="is not signed"), transaction.atomic():
                ModelApproval.objects.create(**bent, **given, signature=signature)


def test_what_was_registered_cannot_become_other_bytes(people):
    version = registered(people)
    for column in ("digest", "card", "registered_by", "pathway"):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            ModelVersion.objects.filter(pk=version.pk).update(**{column: getattr(version, column)})


def test_one_version_serves_a_pathway_at_a_time(people):
    versions = [registered(people, number) for number in ("1", "2")]
    for version in versions:
        for name in ("one", "two"):
            approve(version, by=people[name], now=now())
        activate(version, by=people["one"], now=now())
    assert serving("p") == versions[1]
    assert ModelVersion.objects.filter(pathway="p", active=True).count() == 1
