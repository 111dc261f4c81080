"""Codes: those of a generator (TOTP), those on a sheet of recovery codes, and how both are kept.

Rules (RFC 6238, RFC 4226; SECURITY 2.3 A12)
 * A code counts in its own step and in no other. That it counts once is for whoever recognises (`recognising`).
 * A generator's secret is sealed under the data key of its owner, bound to its row: elsewhere it opens nothing, and
   without the site keys a copy of the tables shows no code.
 * A recovery code is kept as an HMAC under a key of this site: a copy of the tables cannot be searched for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from datetime import datetime
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from audit.services import personal

from ..domain import BadInput, Fault
from ..policies import step_of

DIGITS = 6
TABLE = "governance_credential"
SEALED = "sealed:"  # what stands before a secret that is sealed; before that, none did


class CodeNotTaken(BadInput):
    """The code is not the one of this moment, was used already, or is none."""

    code = "code_not_taken"
    status = 422


def draw_secret() -> str:
    """160 random bits as base32, as generators take them."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int) -> str:
    """The six digits of one step (RFC 4226 5.3)."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 0x0F
    (number,) = struct.unpack(">I", mac[at : at + 4])
    return f"{(number & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}d}"


def right_code(secret: str, code: str, *, now: datetime) -> int | None:
    """The step whose code this is, if it is this moment's; None otherwise."""
    step = step_of(now)
    said = code.replace(" ", "").replace("-", "")
    return step if hmac.compare_digest(said.encode(), code_at(secret, step).encode()) else None


def hide_secret(secret: str, *, key: str, owner: str) -> str:
    """The secret as it is kept for the credential `key`: sealed under the data key of its owner."""
    sealed = personal.seal(owner, table=TABLE, row_id=key, values={"secret": secret})["secret"] or b""
    return SEALED + base64.urlsafe_b64encode(sealed).decode()


def show_secret(hidden: str, *, key: str) -> str:
    """The secret again. A row that was copied, or whose owner's key is gone, is a fault."""
    if not hidden.startswith(SEALED):
        return _shown_as_before(hidden, key=key)
    row = personal.SealedRow(TABLE, key, {"secret": base64.urlsafe_b64decode(hidden.removeprefix(SEALED))})
    try:
        (opened,) = personal.open_many([row])
    except personal.FieldUnsound as err:
        raise Fault("A code generator's secret cannot be read: it was kept for another row.") from err
    if opened is None or opened["secret"] is None:
        raise Fault("A code generator's secret cannot be read: the key of its owner was destroyed.")
    return opened["secret"]


def _shown_as_before(hidden: str, *, key: str) -> str:
    """One that was enrolled before secrets were sealed: under a key derived of SECRET_KEY, until it is replaced."""
    raw = base64.urlsafe_b64decode(hidden)
    try:
        return AESGCM(_site_key(b"clinaiops/totp/v1")).decrypt(raw[:12], raw[12:], key.encode()).decode()
    except InvalidTag as err:
        raise Fault("A code generator's secret cannot be read: SECRET_KEY is not the one it was kept under.") from err


def digest_of_recovery(code: str) -> str:
    """A recovery code as it is kept (hex)."""
    said = "".join(letter for letter in code.upper() if letter.isalnum())
    return hmac.new(_site_key(b"clinaiops/recovery/v1"), said.encode(), hashlib.sha256).hexdigest()


@cache
def _derived(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret_key.encode())


def _site_key(purpose: bytes) -> bytes:
    return _derived(settings.SECRET_KEY, purpose)
