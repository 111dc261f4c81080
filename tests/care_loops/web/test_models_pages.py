"""A version of a model is read, approved by two others and released on pages; nobody gets round the service."""

import json

import pytest
from django.urls import reverse

from care_loops.services.predictors import register_protocols
from governance.domain import NotAllowed, Role
from models.registry.models import ModelApproval, ModelRelease, ModelVersion
from models.registry.selectors import serving
from models.registry.services import ApprovedAlready, NotApproved, activate, approve, register
from tests.factories import Hospital

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def registered(ward: Hospital) -> ModelVersion:
    """A version that nobody has approved yet."""
    ward.join("lead", Role.RESPONSIBLE_AI_LEAD, now=ward.now)
    author = ward.acting("engineer", now=ward.now)
    register_protocols(by=author, now=ward.now)
    old = ModelVersion.objects.order_by("registered_at").first()
    return register(
        *(old.name, "2-test"), pathway=old.pathway, digest="ab" * 32, card=json.loads(old.card), by=author, now=ward.now
    )


def page_of(browser, version) -> str:
    return browser.get(reverse("model", args=[version.pk])).content.decode()


def send(browser, version, act: str, key: str = "k" * 12):
    return browser.post(reverse(f"model-{act}", args=[version.pk]), {"key": key})


def test_it_is_in_the_navigation_of_those_who_may_and_of_nobody_else(ward, signed_in, registered):
    for who, may in (("clinician", True), ("pharmacist", True), ("admin", False)):
        browser = signed_in(who)
        answer = browser.get("/models/")
        assert (answer.status_code == 200) is may, who
        if may:
            assert 'href="/models/"' in answer.content.decode()
            assert "2-test" in answer.content.decode()


def test_the_card_is_read_whole_and_the_record_is_shown_in_words_before_it_is_signed(ward, signed_in, registered):
    browser = signed_in("clinician")
    html = page_of(browser, registered)
    assert "Intended use" in html
    assert "0 of 2 approvals" in html
    browser.signer = None
    asked = send(browser, registered, "approve").content.decode()
    for words in ("version 2-test", "Serves now", "What runs, SHA-256", "two such approvals are needed"):
        assert words in asked, words
    assert ModelApproval.objects.filter(model_version=registered).count() == 0


def test_two_others_approve_and_one_releases_and_it_serves(ward, signed_in, registered):
    for who in ("clinician", "pharmacist"):
        send(signed_in(who), registered, "approve")
    html = page_of(signed_in("lead"), registered)
    assert "Approved, not released" in html
    assert "Clinician Example" in html
    send(signed_in("lead"), registered, "release")
    assert serving(registered.pathway).pk == registered.pk
    release = ModelRelease.objects.get(model_version=registered)
    assert release.signature.meaning == "releases this model"
    assert "Serves now" in page_of(signed_in("clinician"), registered)


def test_author_a_second_time_and_too_few_are_refused_on_the_page_and_in_the_service(ward, signed_in, registered):
    author = signed_in("engineer")
    assert "You registered this version" in page_of(author, registered)
    assert send(author, registered, "approve").status_code == 403
    browser = signed_in("clinician")
    send(browser, registered, "approve")
    assert "You have approved this version" in page_of(browser, registered)
    assert send(browser, registered, "approve", key="another-key-1").status_code == 409
    assert send(browser, registered, "release", key="another-key-2").status_code == 409
    assert ModelApproval.objects.filter(model_version=registered).count() == 1
    assert not ModelRelease.objects.filter(model_version=registered).exists()
    now = ward.now
    with pytest.raises(NotAllowed):
        approve(registered, by=ward.acting("engineer", now=now), now=now)
    with pytest.raises(ApprovedAlready):
        approve(registered, by=ward.acting("clinician", now=now), now=now)
    with pytest.raises(NotApproved):
        activate(registered, by=ward.acting("clinician", now=now), now=now)
    with pytest.raises(NotAllowed):
        activate(registered, by=ward.acting("admin", now=now), now=now)


def test_without_a_signature_nothing_is_approved(ward, signed_in, registered):
    browser = signed_in("clinician")
    browser.signer = None
    answer = send(browser, registered, "approve")
    assert "Sign this" in answer.content.decode()
    assert not ModelApproval.objects.filter(model_version=registered).exists()


def test_no_model_at_all_is_said(ward, signed_in):
    answer = signed_in("clinician").get(reverse("model", args=["00000000-0000-4000-8000-000000000000"]))
    assert answer.status_code == 404
