"""A signature is over the record as shown, by its own person, now, once; else it is refused (SECURITY A9, A10)."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from django.db import transaction
from fido2.cbor import decode
from fido2.cose import CoseKey
from fido2.utils import websafe_decode

from audit import canonical
from audit.domain import ObjectRef
from audit.selectors import payload_of
from edge_wearables.simulators.authenticator import SoftKey
from governance.domain import Method, NotAllowed, Role
from governance.models import Signature, SignatureEvidence, SigningChallenge
from governance.policies import LockedOut, factor_rules
from governance.services import Act, acting_person, sign
from governance.services.codes import CodeNotTaken
from governance.services.credentials import confirm, live, revoke
from governance.services.passkeys import PasskeyNotTaken
from governance.services.signing import (
    Asked,
    SignatureNeeded,
    SignatureNotTaken,
    begin_assertion,
    challenge_of,
    finish_assertion,
    finish_with_password,
    passkey_options,
)
from tests.governance.people import PASSWORD, acting, founded, now, staff
from tests.signing_in import HOST, code_of, enrolled, key_of

pytestmark = pytest.mark.django_db
CONTENT = {"recommendation": "r-1", "version": 2, "decision": "approve", "reason": "agrees_with_plan"}
MEANING = "approves this change"
ACT = Act("recommendation.approved", ObjectRef(type="recommendation", id="r-1", version=3), subject="p-1")
ASKED = Asked(ACT, CONTENT, MEANING)


@pytest.fixture
def admin():
    return founded(now() - timedelta(days=3))


@pytest.fixture
def signer(admin):
    """A clinician whose passkey and generator an administrator has confirmed."""
    user = staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=2))
    key_of(user)
    code_of(user)
    for row in live(user):
        confirm(row.pk, by=acting(admin, now()), now=now())
    return user


def signed(user, asked=ASKED, *, at=None, later=timedelta()):
    """The proof that this person's passkey gives."""
    at = at or now()
    challenge = begin_assertion(asked, user=user, now=at)
    answer = key_of(user).get(passkey_options(challenge, place=HOST))
    return finish_assertion(challenge.pk, answer, user=user, place=HOST, now=at + later)


def kept(user, proof, asked=ASKED):
    """Sign the record under this proof."""
    by = replace(acting_person(user, now=now()), proof=proof)
    with transaction.atomic():
        return sign(asked.content, act=asked.act, meaning=asked.meaning, by=by, now=now())


def test_a_signature_by_passkey_can_be_checked_from_what_is_kept_alone(signer):
    row, esign = kept(signer, signed(signer))
    assert (esign.method, esign.name_shown) == ("webauthn", signer.printed_name)
    evidence = SignatureEvidence.objects.get(signature=row)
    record = bytes(evidence.record)
    said = json.loads(record)
    assert record == canonical.dumps(said)
    assert (said["type"], said["object"]) == (ACT.type, {"type": "recommendation", "id": "r-1", "version": 3})
    assert (said["meaning"], said["account"], said["name_shown"]) == (MEANING, str(signer.pk), signer.printed_name)
    shown = payload_of(row.entry)
    assert shown["content"] == CONTENT
    salted = b"clinaiops/esign-content/v1" + bytes.fromhex(shown["content_salt"]) + canonical.dumps(CONTENT)
    assert said["content"] == hashlib.sha256(salted).hexdigest()
    digest = hashlib.sha256(b"clinaiops/esign/v1" + record).digest()
    assert esign.record == digest.hex() == row.record_digest
    challenge = hashlib.sha256(b"clinaiops/esign/v1" + digest + bytes(evidence.nonce)).digest()
    client = bytes(evidence.client_data)
    assert websafe_decode(json.loads(client)["challenge"]) == challenge
    key = CoseKey.parse(decode(websafe_decode(evidence.public_key)))
    data = bytes(evidence.authenticator_data)
    assert data[32] & 0x05 == 0x05  # present and verified
    key.verify(data + hashlib.sha256(client).digest(), bytes(evidence.assertion))
    with pytest.raises(InvalidSignature):
        key.verify(data + hashlib.sha256(client + b" ").digest(), bytes(evidence.assertion))
    assert esign.key_id == live(signer, Method.WEBAUTHN).get().credential_id
    assert len(esign.assertion_sha256) == 64


def test_password_and_code_sign_too_and_say_that_the_application_attests_it(signer):
    asked = begin_assertion(ASKED, user=signer, now=now())
    proof = finish_with_password(asked.pk, password=PASSWORD, code=code_of(signer), user=signer, now=now())
    row, esign = kept(signer, proof)
    assert (row.method, esign.assertion_sha256) == ("password_totp", None)


@pytest.mark.parametrize("missing", ["password", "code"])
def test_all_components_are_asked_for_every_time(signer, missing):
    said = {"password": PASSWORD, "code": code_of(signer)} | {missing: "000000"}
    for _ in range(2):
        asked = begin_assertion(ASKED, user=signer, now=now())
        with pytest.raises(CodeNotTaken):
            finish_with_password(asked.pk, user=signer, now=now(), **said)
    assert not Signature.objects.exists()


def test_a_challenge_is_taken_once_right_or_wrong(signer):
    asked = begin_assertion(ASKED, user=signer, now=now())
    answer = key_of(signer).get(passkey_options(asked, place=HOST))
    finish_assertion(asked.pk, answer, user=signer, place=HOST, now=now())
    with pytest.raises(SignatureNotTaken):
        finish_assertion(asked.pk, answer, user=signer, place=HOST, now=now())
    again = begin_assertion(ASKED, user=signer, now=now())
    with pytest.raises(PasskeyNotTaken):  # the answer to another challenge over the same record
        finish_assertion(again.pk, answer, user=signer, place=HOST, now=now())
    right = key_of(signer).get(passkey_options(again, place=HOST))
    with pytest.raises(SignatureNotTaken):
        finish_assertion(again.pk, right, user=signer, place=HOST, now=now())


def test_a_challenge_lives_a_hundred_and_twenty_seconds(signer):
    lives = factor_rules().challenge_lives
    assert lives == timedelta(seconds=120)
    assert signed(signer, later=lives - timedelta(seconds=1)).method == "webauthn"
    for later in (lives, timedelta(hours=1), -timedelta(seconds=1)):
        with pytest.raises(SignatureNotTaken):
            signed(signer, later=later)


@pytest.mark.parametrize("changed", ["content", "meaning", "type", "object", "version", "subject", "signer", "renamed"])
def test_a_proof_is_for_its_record_its_meaning_and_its_person(signer, admin, changed):
    proof = signed(signer)
    thing = ACT.object
    others = {
        "content": replace(ASKED, content=CONTENT | {"version": 3}),
        "meaning": replace(ASKED, meaning="rejects this change"),
        "type": replace(ASKED, act=replace(ACT, type="recommendation.rejected")),
        "object": replace(ASKED, act=replace(ACT, object=replace(thing, id="r-2"))),
        "version": replace(ASKED, act=replace(ACT, object=replace(thing, version=4))),
        "subject": replace(ASKED, act=replace(ACT, subject="p-2")),
    }
    person = admin if changed == "signer" else signer
    if changed == "renamed":  # the name shown when it was signed is the name that is kept, or it is signed anew
        person.last_name = "Otherwise"
    with pytest.raises(SignatureNotTaken):
        kept(person, proof, others.get(changed, ASKED))
    assert not Signature.objects.exists()


def test_nobody_answers_somebody_elses_challenge(signer, admin):
    asked = begin_assertion(ASKED, user=admin, now=now())
    state_of = SigningChallenge.objects.get(pk=asked.pk)
    answer = key_of(signer).get(
        {"publicKey": {"challenge": _text(challenge_of(bytes(state_of.record), bytes(state_of.nonce)))}}
    )
    with pytest.raises(SignatureNotTaken):
        finish_assertion(asked.pk, answer, user=signer, place=HOST, now=now())
    with pytest.raises(PasskeyNotTaken):
        finish_assertion(asked.pk, answer, user=admin, place=HOST, now=now())


def _text(raw):
    from fido2.utils import websafe_encode

    return websafe_encode(raw)


def test_a_credential_that_nobody_confirmed_signs_nothing(admin):
    newcomer = staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=1))
    key, code = key_of(newcomer), code_of(newcomer)
    asked = begin_assertion(ASKED, user=newcomer, now=now())
    with pytest.raises(SignatureNotTaken, match="another person"):
        passkey_options(asked, place=HOST)
    challenge = _text(challenge_of(bytes(asked.record), bytes(asked.nonce)))
    with pytest.raises(NotAllowed):
        finish_assertion(
            asked.pk, key.get({"publicKey": {"challenge": challenge}}), user=newcomer, place=HOST, now=now()
        )
    asked = begin_assertion(ASKED, user=newcomer, now=now())
    with pytest.raises(NotAllowed):
        finish_with_password(asked.pk, password=PASSWORD, code=code, user=newcomer, now=now())


def test_a_revoked_passkey_signs_nothing_from_that_moment(signer):
    asked = begin_assertion(ASKED, user=signer, now=now())
    answer = key_of(signer).get(passkey_options(asked, place=HOST))
    enrolled(signer, SoftKey(seed="second", place=HOST, origin=f"https://{HOST}"), now=now())
    revoke(live(signer, Method.WEBAUTHN).first().pk, by=acting(signer, now()), now=now())
    with pytest.raises(PasskeyNotTaken):
        finish_assertion(asked.pk, answer, user=signer, place=HOST, now=now())


def test_bad_signing_locks_the_account(signer):
    for attempt in range(7):
        asked = begin_assertion(ASKED, user=signer, now=now())
        refused = CodeNotTaken if attempt < factor_rules().failures_before_lock else LockedOut
        with pytest.raises(refused):
            finish_with_password(asked.pk, password="wrong", code="000000", user=signer, now=now())


def test_being_signed_in_is_no_signature(signer):
    with pytest.raises(SignatureNeeded) as needed:
        kept(signer, None)
    assert needed.value.asked == ASKED
    assert not Signature.objects.exists()
