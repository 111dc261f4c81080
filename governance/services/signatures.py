"""A signature: printed name, time and meaning, bound to the record of one act as it was shown (21 CFR 11.50, 11.70).

Rules
 * Only a person with an account signs; the caller has checked that the role allows what is signed.
 * Nothing is signed without a proof: a passkey's assertion over this very record, or password and code. Being signed in
   is no signature (21 CFR 11.200). A door without a proof is told what has to be signed (`SignatureNeeded`).
 * The record names the act, its object and version, the signer and the meaning, and commits to the content, so a
   signature cannot be carried to another record, nor its record changed under it (SECURITY 3.4).
 * What proves it is kept to the byte, so that an outsider can check it: `SignatureEvidence`, which only grows. The
   content itself and its salt stand in the entry's payload, sealed, and can be shredded.
 * `webauthn` can be checked without trusting us; `password_totp` is attested by this application, and shown as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audit.domain import Esign, Event, ObjectRef
from audit.services import append

from ..models import Signature, SignatureEvidence, User
from .acting import Acting
from .signing import Act, Asked, Proof, SignatureNeeded, SignatureNotTaken, record_digest


def sign(content: Mapping[str, Any], *, act: Act, meaning: str, by: Acting, now: datetime) -> tuple[Signature, Esign]:
    """Sign `act` with its `content` as shown (JSON without floats), in the caller's transaction, by the proof of `by`.

    Returns the row, and the form in which the entry of the act carries it. Raises `SignatureNeeded`, or
    `SignatureNotTaken` when what was signed is not what would be recorded now.
    """
    signer, asked = by.person(), Asked(act, content, meaning)
    proof = by.proof
    if proof is None and by.hand is not None:
        proof = by.hand(asked, now)
    if proof is None:
        raise SignatureNeeded(asked)
    _check(proof, asked, signer)
    esign = Esign(
        meaning=meaning,
        record=record_digest(proof.record),
        method=proof.method,
        assertion_sha256=proof.assertion_sha256,
        key_id=proof.key_id,
        name_shown=signer.printed_name,
    )
    row = Signature(
        signer=signer,
        name_shown=signer.printed_name,
        role=getattr(by.actor, "role", ""),
        meaning=meaning,
        record_digest=esign.record,
        method=esign.method,
        signed_at=now,
    )
    append(
        Event(
            type="signature.made",
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type="signature", id=str(row.pk), version=1),
            subject=act.subject,
            esign=esign,
            payload={"content": dict(content), "content_salt": proof.content_salt.hex()},
        ),
        rows=[row, _evidence(row, proof)],
    )
    return row, esign


def _check(proof: Proof, asked: Asked, signer: User) -> None:
    """The proof is this person's, over this very act and content; and it is drawn anew from what stands now."""
    same = proof.signer == signer.pk and proof.content == asked.shown()
    if not same or proof.record != asked.record(signer, salt=proof.content_salt):
        raise SignatureNotTaken("What was signed is not what would be recorded now. Look again, and sign anew.")


def _evidence(row: Signature, proof: Proof) -> SignatureEvidence:
    """What an outsider needs to check the signature."""
    assertion = proof.assertion
    return SignatureEvidence(
        signature=row,
        record=proof.record,
        nonce=proof.nonce,
        credential=proof.credential,
        public_key=proof.credential.public_key,
        client_data=assertion.client_data if assertion else None,
        authenticator_data=assertion.authenticator_data if assertion else None,
        assertion=assertion.signature if assertion else None,
    )
