"""Whether a signature still holds over what stands now: recomputed from the rows and checked again (21 CFR 11.70).

Rules
 * The content is what the rows say today. Another content than was signed, another record, a signature that its key did
   not make: it is void, whatever else looks right.
 * Where the salt was shredded with the content nobody can tell, and it is said so. Signatures of before, attested by a
   session alone, have no key and are shown as what they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from fido2.utils import websafe_encode

from audit import canonical
from audit.selectors import payload_of

from ..models import Signature, SignatureEvidence
from .passkeys import key_of_cose
from .signing import challenge_of, content_digest, record_digest


class Standing(StrEnum):
    """What can be said of a signature."""

    HOLDS = "holds"
    VOID = "void"
    SHREDDED = "shredded"  # what was signed was destroyed under its legal basis
    SESSION = "session"  # attested by a session, before signatures were asked for


def standing_of(signature: Signature, content: Mapping[str, Any] | None) -> Standing:
    """Whether this signature holds over `content`, which the caller has drawn from the rows as they stand.

    None: over the content that was kept with it.
    """
    if signature.method == "session":
        return Standing.SESSION
    evidence = SignatureEvidence.objects.filter(signature=signature).first()
    kept = payload_of(signature.entry)
    if evidence is None or not _record_holds(signature, evidence):
        return Standing.VOID
    if not isinstance(kept, Mapping) or "content_salt" not in kept:
        return Standing.SHREDDED
    said = json.loads(bytes(evidence.record))
    salt = bytes.fromhex(kept["content_salt"])
    shown = canonical.dumps(dict(kept["content"] if content is None else content))
    same = said["content"] == content_digest(shown, salt=salt)
    return Standing.HOLDS if same else Standing.VOID


def _record_holds(signature: Signature, evidence: SignatureEvidence) -> bool:
    """The record is this signature's, and the passkey signed it; of password and code there is no more to check."""
    record = bytes(evidence.record)
    said = json.loads(record)
    mine = (signature.record_digest, str(signature.signer_id), signature.meaning, signature.name_shown)
    if mine != (record_digest(record), said["account"], said["meaning"], said["name_shown"]):
        return False
    return signature.method == "password_totp" or _asserted(record, evidence)


def _asserted(record: bytes, evidence: SignatureEvidence) -> bool:
    client, data = bytes(evidence.client_data or b""), bytes(evidence.authenticator_data or b"")
    try:
        challenge = json.loads(client)["challenge"]
        key = key_of_cose(evidence.public_key)
        key.verify(data + hashlib.sha256(client).digest(), bytes(evidence.assertion or b""))
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
    return bool(challenge == websafe_encode(challenge_of(record, bytes(evidence.nonce or b""))))
