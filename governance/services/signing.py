"""Asking for a signature, and taking it: the record as shown, bound to one person, for 120 seconds, once.

Rules (SECURITY 1.4, 2.3 A9, 3.4; 21 CFR 11.50, 11.70, 11.200)
 * What is signed is canonical JSON: the act, its object and version, whom it is about, who signs, what it means, and a
   salted digest of the content as shown (audit/README.md 8). `record_hash = SHA-256("clinaiops/esign/v1" ‖ record)`,
   the challenge is `SHA-256("clinaiops/esign/v1" ‖ record_hash ‖ nonce)`: nobody can move the signature elsewhere.
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
from audit.domain import ObjectRef
from audit.entries import pseudonym
from audit.services import keys

from ..domain import BadInput, Method, NotAllowed, Refusal
from ..models import Credential, SigningChallenge, User
from ..policies import factor_rules
from .credentials import live, may_sign
from .passkeys import Assertion, request_options
from .recognising import by_generator, by_passkey, check_password

CONTEXT = b"clinaiops/esign/v1"
CONTENT = b"clinaiops/esign-content/v1"


@dataclass(frozen=True, slots=True)
class Act:
    """The act that is signed: the type of its entry, the object whose version it makes, whom it is about."""

    type: str
    object: ObjectRef
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody is asked to sign: the act, its content as shown, and what their signature means."""

    act: Act
    content: Mapping[str, Any]
    meaning: str

    def shown(self) -> bytes:
        """The content as it is signed, to the byte."""
        return canonical.dumps(dict(self.content))

    def record(self, user: User, *, salt: bytes) -> bytes:
        """The canonical record of which the challenge is made: everything but the content, and that as a commitment."""
        thing, subject = self.act.object, self.act.subject
        said = {
            "v": 1,
            "type": self.act.type,
            "object": {"type": thing.type, "id": thing.id, "version": thing.version},
            "subject": pseudonym(subject, tenant_key=keys.tenant_key()) if subject else None,
            "meaning": self.meaning,
            "account": str(user.pk),
            "name_shown": user.printed_name,
            "content": content_digest(self.shown(), salt=salt),
        }
        return canonical.dumps(said)


class SignatureNeeded(Refusal):
    """The act is signed: its content is shown, and the person signs it. Nothing has been done yet."""

    code = "signature_needed"
    status = 401

    def __init__(self, asked: Asked) -> None:
        super().__init__("This has to be signed: look at the record, and sign it.", meaning=asked.meaning)
        self.asked = asked


class SignatureNotTaken(BadInput):
    """The signature is over something else, was used, came too late, or by a credential that may not sign."""

    code = "signature_not_taken"
    status = 422


@dataclass(frozen=True, slots=True)
class Proof:
    """A signature that was checked: by whom, over which record and content, how, and what proves it."""

    signer: uuid.UUID
    record: bytes
    content: bytes
    content_salt: bytes
    method: str
    credential: Credential
    asked_at: datetime
    nonce: bytes
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


def content_digest(content: bytes, *, salt: bytes) -> str:
    """SHA-256 (hex) of the content as shown, salted, under its own context: what the record commits to."""
    return hashlib.sha256(CONTENT + salt + content).hexdigest()


def record_digest(record: bytes) -> str:
    """SHA-256 (hex) of the record, under the signature's own context."""
    return _record_hash(record).hex()


def challenge_of(record: bytes, nonce: bytes) -> bytes:
    """The 32 bytes that an authenticator signs for this record and nonce."""
    return hashlib.sha256(CONTEXT + _record_hash(record) + nonce).digest()


def begin_assertion(asked: Asked, *, user: User, now: datetime) -> SigningChallenge:
    """Ask `user` to sign this. The row is the challenge, good for 120 seconds."""
    salt = secrets.token_bytes(32)
    record = asked.record(user, salt=salt)
    with transaction.atomic():
        return SigningChallenge.objects.create(
            user=user,
            record=record,
            record_digest=record_digest(record),
            content=asked.shown(),
            content_salt=salt,
            meaning=asked.meaning,
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
        content=bytes(asked.content),
        content_salt=bytes(asked.content_salt),
        method=method,
        credential=credential,
        asked_at=asked.made_at,
        nonce=bytes(asked.nonce),
        assertion=assertion,
    )


def _record_hash(record: bytes) -> bytes:
    return hashlib.sha256(CONTEXT + record).digest()
