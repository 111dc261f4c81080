"""A tool signs for its person, with what its person holds: a token or a cookie is no signature (A9; 21 CFR 11.200)."""

import json

import pytest
from django.test import Client

from care_loops.models import Decision
from governance.models import Signature, SigningChallenge
from tests.care_loops.api.world import Phone, entries
from tests.governance.people import PASSWORD
from tests.signing_in import code_of, confirmed, signed_in, signing_key


@pytest.fixture
def proposal(world):
    return world.proposed(direct=False)


@pytest.fixture
def tool(world):
    """The clinician's tool, which has no hand of its own; their passkey may sign."""
    signing_key(world.clinician)
    return Phone(world.tool(world.clinician).token)


def where(loop):
    return f"recommendations/{loop.pk}/decision"


def approval(loop):
    return {"kind": "approve", "seen_version": loop.version}


def test_a_token_alone_signs_nothing_and_is_told_what_has_to_be_signed(world, proposal, tool):
    before = len(entries())
    asked = tool.post(where(proposal), approval(proposal), key="k-1")
    said = asked.json()
    assert (asked.status_code, said["code"]) == (401, "signature_needed")
    assert said["record"]["recommendation"] == str(proposal.pk)
    assert (said["signer"], said["methods"]) == (world.clinician.printed_name, ["webauthn"])
    assert said["options"]["publicKey"]["userVerification"] == "required"
    assert not Decision.objects.exists()
    assert {entry["type"] for entry in entries()[before:]} <= {"record.read"}


def test_a_cookie_alone_signs_nothing_either(world, proposal):
    browser: Client = signed_in(world.clinician)
    body = json.dumps(approval(proposal))
    key = {"Idempotency-Key": "k"}
    sent = browser.post(f"/api/v1/{where(proposal)}", body, content_type="application/json", headers=key)
    assert (sent.status_code, sent.json()["code"]) == (401, "signature_needed")
    assert not Decision.objects.exists()


def test_the_same_command_with_its_signature_is_carried_out_once(proposal, tool, world):
    asked = tool.post(where(proposal), approval(proposal), key="k-1").json()
    answer = signing_key(world.clinician).get(asked["options"])
    signed = approval(proposal) | {"signature": {"signing": asked["signing"], "credential": answer}}
    done = tool.post(where(proposal), signed, key="k-1")
    assert done.status_code == 200
    assert Decision.objects.get().signature.method == "webauthn"
    for again in (signed, approval(proposal)):  # the answer was lost on the way
        assert tool.post(where(proposal), again, key="k-1").content == done.content
    assert Decision.objects.count() == 1
    other = tool.post(where(proposal), approval(proposal) | {"reason_code": "other"}, key="k-1")
    assert other.json()["code"] == "idempotency_body_differs"


def test_password_and_code_sign_and_the_record_says_who_attests_it(world, proposal, tool):
    code_of(world.clinician)
    confirmed(world.clinician, by=world.admin)
    asked = tool.post(where(proposal), approval(proposal), key="k-1").json()
    assert asked["methods"] == ["password_totp", "webauthn"]
    said = {"signing": asked["signing"], "password": PASSWORD, "code": code_of(world.clinician)}
    assert tool.post(where(proposal), approval(proposal) | {"signature": said}, key="k-1").status_code == 200
    assert Decision.objects.get().signature.method == "password_totp"


@pytest.mark.parametrize("bent", ["other decision", "used", "other credential", "not whole", "of nobody"])
def test_what_is_no_signature_over_this_record_now_is_refused_by_name(world, proposal, tool, bent):
    asked = tool.post(where(proposal), approval(proposal), key="k-1").json()
    signature = {"signing": asked["signing"], "credential": signing_key(world.clinician).get(asked["options"])}
    body, codes = approval(proposal), {"signature_not_taken"}
    if bent == "other decision":
        body = body | {"kind": "reject", "reason_code": "side_effect"}
    elif bent == "used":
        SigningChallenge.objects.filter(pk=asked["signing"]).update(used_at=world.now)
    elif bent == "other credential":
        signature["credential"], codes = signing_key(world.admin).get(asked["options"]), {"passkey_not_taken"}
    elif bent == "not whole":
        signature, codes = {"signing": asked["signing"], "password": PASSWORD}, {"signature_not_whole"}
    else:
        signature["signing"] = "00000000-0000-4000-8000-000000000000"
    refused = tool.post(where(proposal), body | {"signature": signature}, key="k-2")
    assert refused.status_code in (400, 422)
    assert refused.json()["code"] in codes
    assert not Decision.objects.exists()
    assert not Signature.objects.filter(meaning__startswith="prescribes").exists()
