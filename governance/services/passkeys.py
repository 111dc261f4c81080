"""The WebAuthn ceremonies, as the fido2 library does them, with our rules. Nothing here is stored.

Rules (SECURITY 1.4, 2.3 A12)
 * User verification is required in every ceremony; what comes without it is refused.
 * Attestation is not asked for: who made a key says nothing about whose it is. That another person confirms.
 * ES256 and EdDSA, and nothing else: an outsider checks what they sign by the specification (audit/README.md 8).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fido2.cbor import decode as cbor_decode
from fido2.cbor import encode as cbor_encode
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ..domain import BadInput
from ..models import Credential, User

ALGORITHMS = (-7, -8)
NAME = "ClinAIOps"
State = dict[str, Any]


class PasskeyNotTaken(BadInput):
    """The browser's answer does not hold: another challenge, place or key, or its user was not verified."""

    code = "passkey_not_taken"
    status = 422


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey: identifier and public key (COSE) as base64url, the maker's model, the counter."""

    credential_id: str
    public_key: str
    aaguid: str
    sign_count: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator signed: over `authenticator_data` and SHA-256 of `client_data`."""

    credential_id: str
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes
    sign_count: int


def _server(place: str) -> Fido2Server:
    server = Fido2Server(PublicKeyCredentialRpEntity(id=place, name=NAME))
    server.allowed_algorithms = [
        PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=alg) for alg in ALGORITHMS
    ]
    return server


def key_of_cose(public_key: str) -> CoseKey:
    """The key itself, from how it is kept."""
    stored: Any = cbor_decode(websafe_decode(public_key))
    return CoseKey.parse(stored)


def _known(credential: Credential) -> AttestedCredentialData:
    name = websafe_decode(credential.credential_id)
    return AttestedCredentialData.create(b"\x00" * 16, name, key_of_cose(credential.public_key))


def creation_options(user: User, known: Sequence[Credential], *, place: str) -> tuple[dict[str, Any], State]:
    """What the browser needs to make a passkey for `place` (the host name), and what we must remember until then."""
    options, state = _server(place).register_begin(
        PublicKeyCredentialUserEntity(id=user.pk.bytes, name=user.username, display_name=user.printed_name),
        credentials=[_known(one) for one in known],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(options), dict(state)


def read_created(answer: Mapping[str, Any], state: State, *, place: str) -> Made:
    """The passkey the browser made, or `PasskeyNotTaken`."""
    try:
        data = _server(place).register_complete(state, RegistrationResponse.from_dict(answer)).credential_data
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as err:
        raise PasskeyNotTaken("This passkey cannot be taken. Try again, with the check by PIN or finger.") from err
    if data is None or data.public_key.get(3) not in ALGORITHMS:
        raise PasskeyNotTaken("This kind of key is not used here.")
    counter = RegistrationResponse.from_dict(answer).response.attestation_object.auth_data.counter
    return Made(
        credential_id=websafe_encode(data.credential_id),
        public_key=websafe_encode(cbor_encode(dict(data.public_key))),
        aaguid=str(data.aaguid),
        sign_count=counter,
    )


def request_options(
    known: Sequence[Credential], *, place: str, challenge: bytes | None = None
) -> tuple[dict[str, Any], State]:
    """What the browser needs to use a passkey: one of `known`, or any it has for `place` when there are none."""
    options, state = _server(place).authenticate_begin(
        credentials=[_known(one) for one in known] or None,
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=challenge or secrets.token_bytes(32),
    )
    return dict(options), dict(state)


def read_assertion(answer: Mapping[str, Any]) -> Assertion:
    """The parts of the browser's answer, not yet checked."""
    try:
        parsed = AuthenticationResponse.from_dict(answer)
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        raise PasskeyNotTaken("This is not the answer of a passkey.") from err
    found = parsed.response
    return Assertion(
        credential_id=websafe_encode(parsed.raw_id),
        client_data=bytes(found.client_data),
        authenticator_data=bytes(found.authenticator_data),
        signature=found.signature,
        user_handle=found.user_handle or b"",
        sign_count=found.authenticator_data.counter,
    )


def check_assertion(answer: Mapping[str, Any], state: State, credential: Credential, *, place: str) -> Assertion:
    """The assertion, if this credential made it for this challenge and place with its user verified."""
    try:
        _server(place).authenticate_complete(state, [_known(credential)], AuthenticationResponse.from_dict(answer))
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        raise PasskeyNotTaken("This passkey's answer does not hold. Try again.") from err
    return read_assertion(answer)
