"""A passkey in software, for people who are simulated: it makes and answers WebAuthn ceremonies as a real one would.

Rules
 * What it signs is real and is checked like anybody's; only where its key lies is not: in this process, derived from a
   seed or drawn. It is no authenticator for a person.
 * It says that its user was present and verified, because nobody is there to say otherwise.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cbor import encode
from fido2.utils import websafe_decode, websafe_encode

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40
AAGUID = bytes.fromhex("c1141a105e534f748e00000000000001")


@dataclass
class SoftKey:
    """One passkey of one person at one place. `verifies` and `counts` can be turned off to play a bad one."""

    seed: str
    place: str = "localhost"
    origin: str = "http://localhost"
    verifies: bool = True
    counts: bool = True
    counter: int = 0
    user_handle: bytes = b""
    _private: ec.EllipticCurvePrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        number = int.from_bytes(hashlib.sha512(f"clinaiops soft key {self.seed}".encode()).digest(), "big")
        self._private = ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())

    @property
    def credential_id(self) -> bytes:
        """The identifier, from the seed."""
        return hashlib.sha256(f"clinaiops soft credential {self.seed} {self.place}".encode()).digest()

    @property
    def name(self) -> str:
        """The identifier as it is written (base64url)."""
        return websafe_encode(self.credential_id)

    def create(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.create`."""
        said = options["publicKey"]
        self.user_handle = websafe_decode(said["user"]["id"])
        numbers = self._private.public_key().public_numbers()
        key = encode({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = AAGUID + struct.pack(">H", len(self.credential_id)) + self.credential_id + key
        made = {"fmt": "none", "attStmt": {}, "authData": self._data(_ATTESTED) + attested}
        client = self._client("webauthn.create", said["challenge"])
        return self._answer({"clientDataJSON": client, "attestationObject": encode(made)})

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `navigator.credentials.get`."""
        self.counter += self.counts
        client, data = self._client("webauthn.get", options["publicKey"]["challenge"]), self._data(0)
        signature = self._private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        said = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._answer(said | ({"userHandle": self.user_handle} if self.user_handle else {}))

    def _data(self, more: int) -> bytes:
        flags = _PRESENT | (_VERIFIED if self.verifies else 0) | more
        return hashlib.sha256(self.place.encode()).digest() + struct.pack(">BI", flags, self.counter)

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said, separators=(",", ":")).encode()

    def _answer(self, response: Mapping[str, bytes]) -> dict[str, Any]:
        parts = {key: websafe_encode(value) for key, value in response.items()}
        return {
            "id": self.name,
            "rawId": self.name,
            "type": "public-key",
            "response": parts,
            "clientExtensionResults": {},
        }
