"""Random trials to carry a signature where it does not belong: none is accepted (SECURITY 2.3 A9, 2.1 T21).

Printed with N and seed. The seeded defect: were a used challenge forgotten, a replay would be accepted at once.
"""

import os
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction
from fido2.utils import websafe_decode, websafe_encode

from audit.domain import ObjectRef
from governance.domain import Refusal, Role
from governance.models import Signature
from governance.services import Act, acting_person, sign
from governance.services.signing import Asked, begin_assertion, finish_assertion, passkey_options
from tests.governance.people import founded, now, staff
from tests.signing_in import HOST, signing_key

pytestmark = pytest.mark.django_db
TRIALS = int(os.environ.get("CLINAIOPS_SIGNING_TRIALS", "150"))
SEED = 20261122


def asked_for(rng):
    """A decision on some recommendation."""
    loop, version = f"loop-{rng.randrange(5)}", rng.randrange(1, 4)
    kind = rng.choice(["approved", "modified", "rejected"])
    act = Act(f"recommendation.{kind}", ObjectRef("recommendation", loop, version), subject=f"p-{rng.randrange(3)}")
    return Asked(act, {"recommendation": loop, "dose": str(rng.randrange(1, 9) * 5)}, f"prescribes {kind}")


def take(challenge, answer, asked, *, user, at):
    """The whole road: the assertion is checked, then the act is signed by it."""
    proof = finish_assertion(challenge, answer, user=user, place=HOST, now=at)
    by = replace(acting_person(user, now=at), proof=proof)
    with transaction.atomic():
        return sign(asked.content, act=asked.act, meaning=asked.meaning, by=by, now=at)


def bent(answer, rng):
    """The answer with one bit turned in what was signed, or in the signature."""
    part = rng.choice(["clientDataJSON", "authenticatorData", "signature"])
    raw = bytearray(websafe_decode(answer["response"][part]))
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return answer | {"response": answer["response"] | {part: websafe_encode(bytes(raw))}}


def trial(rng, signer, other, at):
    """One attempt; returns what was tried and whether it was accepted."""
    keys = {person: signing_key(person) for person in (signer, other)}
    asked, elsewhere = asked_for(rng), asked_for(rng)
    challenge = begin_assertion(asked, user=signer, now=at)
    answer = keys[signer].get(passkey_options(challenge, place=HOST))
    how = rng.choice(
        ["replayed", "other record", "other user", "late", "edited", "bit", "other key", "other challenge"]
    )
    user, target, when, given, row = signer, asked, at + timedelta(seconds=rng.randrange(120)), answer, challenge.pk
    match how:
        case "replayed":
            take(row, answer, asked, user=signer, at=when)
        case "other record":
            target = elsewhere if elsewhere != asked else replace(asked, meaning="another")
        case "other user":
            user = other
        case "late":
            when = at + timedelta(seconds=120 + rng.randrange(10_000))
        case "edited":
            target = replace(asked, content=dict(asked.content) | {"dose": "80"})
        case "bit":
            given = bent(answer, rng)
        case "other key":
            given = keys[other].get(passkey_options(begin_assertion(asked, user=other, now=at), place=HOST))
        case "other challenge":
            row = begin_assertion(asked, user=signer, now=at).pk
    try:
        with transaction.atomic():
            take(row, given, target, user=user, at=when)
    except Refusal:
        return how, False
    return how, True


@pytest.fixture
def people():
    admin = founded(now() - timedelta(days=400))
    return admin, staff(Role.CLINICIAN, by=admin, at=now() - timedelta(days=399))


def test_no_signature_is_carried_elsewhere(people):
    other, signer = people
    rng, tried, accepted = random.Random(SEED), Counter(), Counter()
    began = now() - timedelta(days=390)
    for n in range(TRIALS):  # hours apart, so that failures lock nobody out of the next trial
        how, taken = trial(rng, signer, other, began + timedelta(hours=n))
        tried[how] += 1
        accepted[how] += taken
    print(f"signatures carried elsewhere: {sum(accepted.values())} of {TRIALS}, seed {SEED}, {dict(tried)}")
    assert sum(accepted.values()) == 0, accepted
    assert len(tried) == 8
    assert Signature.objects.filter(meaning__startswith="prescribes").count() == tried["replayed"]


def test_a_forgotten_challenge_would_be_noticed(people):
    """The defect: the row that says the challenge was used is gone, and the same challenge stands there anew."""
    other, signer = people
    at = now()
    key = signing_key(signer)
    asked = asked_for(random.Random(SEED))
    challenge = begin_assertion(asked, user=signer, now=at)
    answer = key.get(passkey_options(challenge, place=HOST))
    finish_assertion(challenge.pk, answer, user=signer, place=HOST, now=at)
    with pytest.raises(Refusal):
        finish_assertion(challenge.pk, answer, user=signer, place=HOST, now=at)
    columns = "user_id, record, record_digest, content, content_salt, meaning, nonce, made_at"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO governance_signingchallenge (id, {columns})"
            f" SELECT %s, {columns} FROM governance_signingchallenge WHERE id = %s",
            [other.pk, challenge.pk],
        )
    assert finish_assertion(other.pk, answer, user=signer, place=HOST, now=at).method == "webauthn"
