"""What a device signs, and how we check it (SECURITY 1.4 device line, A17, A18, B23).

Rules
 * A message signature is Ed25519 over the context `clinaiops/device-msg/v1`, device, boot, first and last number, time
   of sending and the SHA-256 of the body, one line each. No field can hold a line break, so no two messages share
   the signed bytes.
 * Enrolment proves possession: Ed25519 over `clinaiops/device-enrol/v1`, the SHA-256 of the one-time code and the key.
 * One algorithm, no negotiation. Base64 is strict: canonical alphabet and padding, nothing else.
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .domain import BatchHead, NotTrusted, Unreadable

MESSAGE = "clinaiops/device-msg/v1"
ENROLMENT = "clinaiops/device-enrol/v1"
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def message_bytes(head: BatchHead, body_sha256: bytes) -> bytes:
    """The bytes a device signs for one batch."""
    lines = (
        MESSAGE,
        head.device_id,
        head.boot_id,
        str(head.first_seq),
        str(head.last_seq),
        head.sent_at_text,
        body_sha256.hex(),
    )
    return "\n".join(lines).encode()


def enrolment_bytes(code: str, public_key: bytes) -> bytes:
    """The bytes a device signs to show that it holds the key it enrols."""
    return "\n".join((ENROLMENT, sha256(code.encode()).hexdigest(), public_key.hex())).encode()


def key_id(public_key: bytes) -> str:
    """The name of a public key: the first 32 hex digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:32]


def verify(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Raise `NotTrusted` unless the signature is this key's over this message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as err:
        raise NotTrusted("bad_signature", "The signature is not this device's over this message.") from err


def sign(private_key: bytes, message: bytes) -> bytes:
    """The signature of a 32-byte private key over a message: the device's side."""
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(message)


def public_of(private_key: bytes) -> bytes:
    """The 32-byte public key that belongs to a private key."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def unpack(text: str, *, size: int, name: str) -> bytes:
    """Strict base64 of exactly `size` bytes, else `Unreadable`."""
    if _BASE64.fullmatch(text) is None:
        raise Unreadable("bad_base64", f"{name} is not base64.")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise Unreadable("bad_base64", f"{name} is not base64.") from err
    if len(data) != size or base64.b64encode(data).decode() != text:
        raise Unreadable("bad_base64", f"{name} is not the base64 of {size} bytes.")
    return data


def pack(data: bytes) -> str:
    """Base64, as `unpack` reads it."""
    return base64.b64encode(data).decode()
