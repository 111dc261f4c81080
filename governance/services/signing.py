"""Asking for a signature, and taking it: the record as shown, bound to one person, for 120 seconds, once.

Rules (SECURITY 1.4, 2.3 A9, 3.4; 21 CFR 11.50, 11.70, 11.200)
 * What is signed is canonical JSON. `record_hash = SHA-256("clinaiops/esign/v1" ‖ record)`, and the challenge
   of the passkey is `SHA-256("clinaiops/esign/v1" ‖ record_hash ‖ nonce)`: nobody can move the signature elsewhere.
 * Every signature asks for all components, every time: a passkey that verifies its user, or the password and a code of
   the generator. The second is attested by this application alone, and says so wherever it is shown.
 * Only a credential whose owner another person has confirmed signs (`credentials.may_sign`).
 * A challenge is taken once, right or wrong, in a transaction of its own: a refused signature is asked for anew.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from audit import canonical

from ..domain import BadInput, Method, NotAllowed, Refusal
from ..models import Credential, SigningChallenge, User
from ..policies import factor_rules
from .credentials import live, may_sign
from .passkeys import Assertion, request_options
from .recognising import by_generator, by_passkey, check_password

CONTEXT = b"clinaiops/esign/v1"


class SignatureNeeded(Refusal):
    """The act is signed: its record is shown, and the person signs it. Nothing has been done yet."""

    code = "signature_needed"
    status = 401

    def __init__(self, record: Mapping[str, Any], meaning: str) -> None:
        super().__init__("This has to be signed.", meaning=meaning)
        self.record = dict(record)
        self.meaning = meaning


class SignatureNotTaken(BadInput):
    """The signature is over something else, was used, came too late, or by a credential that may not sign."""

    code = "signature_not_taken"
    status = 422


@dataclass(frozen=True, slots=True)
class Proof:
    """A signature that was checked: by whom, over which record with which meaning, how, and what proves it."""

    signer: uuid.UUID
    record: bytes
    record_digest: str
    meaning: str
    method: str
    credential: Credential
    asked_at: datetime
    nonce: bytes = b""
    assertion: Assertion | None = field(default=None, repr=False)

    @property
    def assertion_sha256(self) -> str | None:
        """SHA-256 (hex) over authenticator data, client data and signature, each with its length before it."""
        if self.assertion is None:
            return None
        parts = (self.assertion.authenticator_data, self.assertion.client_data, self.assertion.signature)
        return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()

    @property
    def key_id(self) -> str:
        """The credential's identifier as the record has it: of the passkey, or of the generator's row."""
        return self.credential.credential_id or str(self.credential.pk)


def record_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the record as shown, under the signature's own context."""
    return _record_hash(canonical.dumps(dict(record))).hex()


def challenge_of(record: bytes, nonce: bytes) -> bytes:
    """The 32 bytes that an authenticator signs for this record and nonce."""
    return hashlib.sha256(CONTEXT + _record_hash(record) + nonce).digest()


def begin_assertion(record: Mapping[str, Any], *, meaning: str, user: User, now: datetime) -> SigningChallenge:
    """Ask `user` to sign this record with this meaning. The row is the challenge, good for 120 seconds."""
    shown = canonical.dumps(dict(record))
    with transaction.atomic():
        return SigningChallenge.objects.create(
            user=user,
            record=shown,
            record_digest=_record_hash(shown).hex(),
            meaning=meaning,
            nonce=secrets.token_bytes(32),
            made_at=now,
        )


def passkey_options(asked: SigningChallenge, *, place: str) -> dict[str, Any]:
    """What the browser needs to sign: this challenge, by one of the signer's passkeys that may sign."""
    ready = [row for row in live(asked.user, Method.WEBAUTHN) if may_sign(row)]
    if not ready:
        raise SignatureNotTaken("None of your passkeys may sign yet: another person confirms them first.")
    options, _ = request_options(ready, place=place, challenge=challenge_of(bytes(asked.record), bytes(asked.nonce)))
    return options


def finish_assertion(
    challenge_id: uuid.UUID, answer: Mapping[str, Any], *, user: User, place: str, now: datetime
) -> Proof:
    """The signature by a passkey, checked against the challenge that was asked for."""
    asked = _take(challenge_id, user=user, now=now)
    state = request_options([], place=place, challenge=challenge_of(bytes(asked.record), bytes(asked.nonce)))[1]
    found = by_passkey(answer, state, place=place, now=now, user=user)
    return _proof(asked, "webauthn", found.credential, found.assertion)


def finish_with_password(challenge_id: uuid.UUID, *, password: str, code: str, user: User, now: datetime) -> Proof:
    """The signature by password and code, attested by this application."""
    asked = _take(challenge_id, user=user, now=now)
    check_password(user, password, now=now)
    found = by_generator(user, code, now=now)
    return _proof(asked, "password_totp", found.credential, None)


def _take(challenge_id: uuid.UUID, *, user: User, now: datetime) -> SigningChallenge:
    """The challenge, used up by this very look."""
    rules = factor_rules()
    with transaction.atomic():
        fresh = SigningChallenge.objects.filter(
            pk=challenge_id, user=user, used_at__isnull=True, made_at__lte=now, made_at__gt=now - rules.challenge_lives
        )
        if not fresh.update(used_at=now):
            raise SignatureNotTaken("This request for a signature is over. Look at the record again, and sign anew.")
    return SigningChallenge.objects.get(pk=challenge_id)


def _proof(asked: SigningChallenge, method: str, credential: Credential, assertion: Assertion | None) -> Proof:
    if not may_sign(credential):
        raise NotAllowed("Another person confirms this credential before it signs.", missing="confirmed_credential")
    return Proof(
        signer=asked.user_id,
        record=bytes(asked.record),
        record_digest=asked.record_digest,
        meaning=asked.meaning,
        method=method,
        credential=credential,
        asked_at=asked.made_at,
        nonce=bytes(asked.nonce),
        assertion=assertion,
    )


def _record_hash(record: bytes) -> bytes:
    return hashlib.sha256(CONTEXT + record).digest()
