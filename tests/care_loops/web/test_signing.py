"""What is signed on pages is signed by its person, over the record as shown; the session's word is not enough (A9)."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Pending
from care_loops.models import Decision, Target
from governance.models import Signature, SignatureEvidence
from tests.care_loops.web.ward import admit, proposed, uncontrolled
from tests.signing_in import confirmed, key_of, signed_in

pytestmark = pytest.mark.django_db
KEY = "0123456789abcdef"


@pytest.fixture
def desk(ward):
    """The clinician's browser, which signs nothing by itself."""
    browser = signed_in(ward.people["clinician"])
    confirmed(ward.people["clinician"], by=ward.people["admin"])
    return browser


@pytest.fixture
def where(ward):
    return reverse("recommendation", args=[proposed(ward, uncontrolled(ward)).pk])


def form(desk, where, **more):
    """The decision as it would be sent."""
    page = desk.get(where)
    version = page.context["form"]["seen_version"].value()
    return {
        "choice": "approve",
        "reason_code": "agrees_with_plan",
        "free_text": "",
        "key": KEY,
        "seen_version": version,
    } | more


def answered(desk, ward, asked):
    """The clinician's passkey over what was asked."""
    options = desk.post(f"/signing/{asked.pk}/options/").json()
    return {"signing": str(asked.pk), "credential": json.dumps(key_of(ward.people["clinician"]).get(options))}


def test_a_session_alone_decides_nothing_and_the_record_to_be_signed_is_shown(desk, where):
    before = Pending.objects.count()
    page = desk.post(where, form(desk, where))
    assert page.status_code == 200
    text = page.content.decode()
    assert "Sign this" in text
    assert "agrees_with_plan" in text
    assert Decision.objects.count() == Signature.objects.filter(meaning__startswith="prescribes").count() == 0
    assert Pending.objects.count() == before + 1  # that the recommendation was looked at


def test_the_passkeys_signature_is_kept_with_what_was_shown(desk, where, ward):
    said = form(desk, where)
    asked = desk.post(where, said).context["asked"]
    signature = answered(desk, ward, asked)
    assert desk.post(where, said | signature).status_code == 303
    decision = Decision.objects.get()
    assert decision.signature.method == "webauthn"
    evidence = SignatureEvidence.objects.get(signature=decision.signature)
    assert bytes(evidence.record) == bytes(asked.record)
    assert json.loads(bytes(asked.content))["decision"] == "approve"
    assert desk.post(where, said | signature).status_code == 303  # sent twice, done once
    assert Decision.objects.count() == 1


def test_a_signature_over_one_decision_carries_no_other(desk, where, ward):
    said = form(desk, where)
    asked = desk.post(where, said).context["asked"]
    signature = answered(desk, ward, asked)
    other = said | {"choice": "reject", "reason_code": "side_effect"} | signature
    refused = desk.post(where, other)
    assert refused.status_code in (200, 400, 422)
    assert Decision.objects.count() == 0


def test_the_same_signature_serves_once(desk, ward):
    patient, other = admit(ward, target=None), admit(ward, "Zwei", "Otto", target=None)
    said = {"systolic_below": "135", "diastolic_below": "85", "key": KEY}
    first = reverse("patient-target", args=[patient.pk])
    asked = desk.post(first, said).context["asked"]
    signature = answered(desk, ward, asked)
    assert desk.post(first, said | signature).status_code == 303
    again = desk.post(reverse("patient-target", args=[other.pk]), said | {"key": KEY + "x"} | signature)
    assert again.status_code == 422
    assert "over" in again.content.decode()
    assert Target.objects.get().signature.method == "webauthn"
    assert str(Target.objects.get().pk) == json.loads(bytes(asked.content))["target"]


def test_a_strangers_request_to_sign_is_not_there(desk, where, ward):
    asked = desk.post(where, form(desk, where)).context["asked"]
    assert Client().post(f"/signing/{asked.pk}/options/").status_code == 404
    assert signed_in(ward.people["other_clinician"]).post(f"/signing/{asked.pk}/options/").status_code == 404


def test_who_has_nothing_that_may_sign_is_told_so(ward):
    browser = signed_in(ward.people["other_clinician"])
    where = reverse(
        "recommendation", args=[proposed(ward, uncontrolled(ward, team=("clinician", "other_clinician"))).pk]
    )
    page = browser.post(where, form(browser, where)).content.decode()
    assert "You cannot sign yet" in page


@pytest.mark.parametrize("said", [{"signing": "x"}, {"signing": "00000000-0000-0000-0000-000000000000"}])
def test_what_is_no_request_to_sign_is_refused_by_name(desk, where, said):
    assert 'role="alert"' in desk.post(where, form(desk, where) | said).content.decode()
    assert Decision.objects.count() == 0


def test_who_signs_reads_the_record_in_words_of_what_would_be_done(desk, where):
    rejects = desk.post(where, form(desk, where, choice="reject", reason_code="side_effect")).context["words"]
    assert dict(rejects)["Proposed"] == "Increase lisinopril from 10 mg to 20 mg a day."
    assert "Increase" not in dict(rejects).get("Prescribed", "")
    assert dict(rejects)["Decision"] == "Rejected"
    other = next(one for one in desk.get(where).context["page"].alternatives if "amlodipine" in one.change.sentence)
    said = form(desk, where, choice=f"modify:{other.change.key}", reason_code="side_effect", key=KEY + "m")
    modifies = dict(desk.post(where, said).context["words"])
    assert modifies["Prescribed"].startswith(f"{other.change.sentence}.")
    assert modifies["Proposed"] != modifies["Prescribed"]
    assert Decision.objects.count() == 0
