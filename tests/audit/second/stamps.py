"""Timestamp tokens (V15, RFC 3161): what an authority under the auditor's own roots says was there, and when.

Read with `asn1crypto`, where the first verifier uses `rfc3161-client`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from .spelling import from_b64
from .verdict import Unusable

_HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
_STAMPS = x509.ExtendedKeyUsageOID.TIME_STAMPING
_LONGEST_CHAIN = 5


class NoToken(ValueError):
    """The token does not verify."""


def roots(pem: bytes) -> list[x509.Certificate]:
    """The auditor's roots.

    :raises Unusable: they cannot be read
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as wrong:
        raise Unusable("tsa-roots") from wrong


def microsecond(encoded: str, text: str, trusted: Sequence[x509.Certificate]) -> int:
    """When, in microseconds since 1970, the token says that the text was there.

    :raises NoToken: it does not verify
    """
    try:
        answer = tsp.TimeStampResp.load(from_b64(encoded), strict=True)
        if answer["status"]["status"].native not in ("granted", "granted_with_mods"):
            raise NoToken("not granted")
        signed = answer["time_stamp_token"]["content"]
        content = signed["encap_content_info"]["content"]
        said = content.parsed
        imprint = said["message_imprint"]
        digest = hashlib.new(imprint["hash_algorithm"]["algorithm"].native, text.encode()).digest()
        if imprint["hashed_message"].native != digest:
            raise NoToken("over something else")
        _signed_under(signed, content.contents, trusted)
        at: datetime = said["gen_time"].native
    except (ValueError, TypeError, KeyError, InvalidSignature) as wrong:
        raise NoToken(str(wrong)) from wrong
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _signed_under(signed: Any, content: bytes, trusted: Sequence[x509.Certificate]) -> None:
    (signer,) = signed["signer_infos"]
    said = {each["type"].native: each["values"][0] for each in signer["signed_attrs"]}
    digest = signer["digest_algorithm"]["algorithm"].native
    same = said["message_digest"].native == hashlib.new(digest, content).digest()
    if not same or said["content_type"].native != "tst_info":
        raise NoToken("the signed attributes say something else")
    held = [x509.load_der_x509_certificate(each.chosen.dump()) for each in signed["certificates"]]
    number = signer["sid"].chosen["serial_number"].native
    leaf = next((each for each in held if each.serial_number == number), None)
    if leaf is None or _STAMPS not in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value:
        raise NoToken("nobody who stamps")
    attributes = b"\x31" + signer["signed_attrs"].dump()[1:]
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signer["signature"].native, attributes, padding.PKCS1v15(), _HASHES[digest]())
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signer["signature"].native, attributes, ec.ECDSA(_HASHES[digest]()))
    else:
        raise NoToken("a key of another kind")
    _chained(leaf, held, trusted)


def _chained(leaf: x509.Certificate, held: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> None:
    """Each certificate is signed by the next one, and the last by a root."""
    for _ in range(_LONGEST_CHAIN):
        if any(_issued(leaf, root) for root in trusted):
            return
        above = next((each for each in held if each.subject == leaf.issuer and each != leaf), None)
        if above is None or not above.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            break
        leaf.verify_directly_issued_by(above)
        leaf = above
    raise NoToken("under no root of the auditor's")


def _issued(leaf: x509.Certificate, root: x509.Certificate) -> bool:
    """Several roots may have one name."""
    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
