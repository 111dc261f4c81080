"""RFC 3161 tokens on checkpoints: an authority's word, that a text was there at a time (README 10, V15).

Only with `--tsa FILE`: the roots come from the auditor, never from the bundle. Uses `rfc3161-client`.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from rfc3161_client import VerificationError, Verifier, VerifierBuilder, decode_timestamp_response

from audit.verify.spelling import Refused, Wrong

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Authority:
    """Checks tokens under these roots."""

    def __init__(self, pem: bytes) -> None:
        """The roots in a PEM file; raises Refused."""
        try:
            builder = VerifierBuilder(roots=x509.load_pem_x509_certificates(pem))
            self._verifier: Verifier = builder.build()
        except ValueError as err:
            raise Refused("tsa-roots", err) from err

    def microsecond(self, encoded: str, text: bytes) -> int:
        """When, in microseconds since 1970, the token says that `text` was there; raises Wrong."""
        try:
            response = decode_timestamp_response(b64decode(encoded, validate=True))
            self._verifier.verify(response, sha256(text).digest())
            return (response.tst_info.gen_time - EPOCH) // timedelta(microseconds=1)
        except (VerificationError, ValueError, TypeError) as err:
            raise Wrong("V15", "token", f"{type(err).__name__}: {err}") from err
