"""A signature: printed name, time and meaning, bound to the digest of the record as it was shown (21 CFR 11.50, 11.70).

Rules
 * Only a person with an account signs; the caller has checked that the role allows what is signed.
 * The digest is SHA-256 over the context string and the canonical JSON of the record, so a signature cannot be carried
   to another record (SECURITY 3.4).
 * A proof is for this record, this meaning and this person, or it is refused. What proves it is kept with it, to the
   byte, so that an outsider can check it: `SignatureEvidence`, which only grows.
 * `method` says how it was made: `webauthn` can be checked without trusting us; `password_totp` and `session` are
   attested by this application alone, and are shown as such.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audit import canonical
from audit.domain import Esign, Event, ObjectRef
from audit.services import append

from ..models import Signature, SignatureEvidence, User
from .acting import Acting
from .signing import CONTEXT, Proof, SignatureNeeded, SignatureNotTaken, record_digest

__all__ = ["CONTEXT", "record_digest", "sign"]


def sign(
    record: Mapping[str, Any],
    *,
    meaning: str,
    by: Acting,
    now: datetime,
    subject: str | None = None,
    again: bool = False,
) -> tuple[Signature, Esign]:
    """Sign `record` (JSON without floats) with `meaning`, in the caller's transaction, under what `by` has proved.

    `again`: the record comes out the same when the act is tried again, so a door that can ask for a signature over it
    is told to (`SignatureNeeded`). Returns the row and the form in which the entry carries it.
    """
    signer = by.person()
    if again and by.must_prove and by.proof is None:
        raise SignatureNeeded(record, meaning)
    digest = record_digest(record)
    proof = _checked(by.proof, signer, digest, meaning)
    esign = _as_entered(proof, meaning=meaning, digest=digest, name=signer.printed_name)
    row = Signature(
        signer=signer,
        name_shown=signer.printed_name,
        role=getattr(by.actor, "role", ""),
        meaning=meaning,
        record_digest=digest,
        method=esign.method,
        signed_at=now,
    )
    appended = append(
        Event(
            type="signature.made",
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type="signature", id=str(row.pk), version=1),
            subject=subject,
            esign=esign,
            payload={"record": dict(record)},
        )
    )
    row.entry = appended.entry_id
    row.save(force_insert=True)
    _keep(row, canonical.dumps(dict(record)), proof, entry=appended.entry_id)
    return row, esign


def _as_entered(proof: Proof | None, *, meaning: str, digest: str, name: str) -> Esign:
    """The signature as its entry carries it."""
    if proof is None:
        return Esign(meaning=meaning, record=digest, method="session", name_shown=name)
    return Esign(
        meaning=meaning,
        record=digest,
        method=proof.method,
        assertion_sha256=proof.assertion_sha256,
        key_id=proof.key_id,
        name_shown=name,
    )


def _checked(proof: Proof | None, signer: User, digest: str, meaning: str) -> Proof | None:
    if proof is None:
        return None
    if proof.signer != signer.pk or proof.record_digest != digest or proof.meaning != meaning:
        raise SignatureNotTaken("What was signed is not what would be recorded now. Look again, and sign anew.")
    return proof


def _keep(row: Signature, record: bytes, proof: Proof | None, *, entry: uuid.UUID) -> None:
    """Keep what an outsider needs to check the signature."""
    assertion = proof.assertion if proof else None
    SignatureEvidence.objects.create(
        signature=row,
        record=record,
        nonce=proof.nonce if proof else None,
        credential=proof.credential if proof else None,
        public_key=proof.credential.public_key if proof else "",
        client_data=assertion.client_data if assertion else None,
        authenticator_data=assertion.authenticator_data if assertion else None,
        assertion=assertion.signature if assertion else None,
        entry=entry,
    )
