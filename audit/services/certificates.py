"""The certificate that signs reports: made by the site for itself, and named by the log.

The rules
 * P-256, in `keys/export.key` and `keys/export.crt` (PEM, mode 0600), made once, by whichever process comes first.
 * Nobody vouches for it but the log, whose entries name its SHA-256 (`genesis`). Taking both files away makes a new
   one, which is named anew; reports signed before stay good by the entry that named the old one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit.services import keys

LIVES = timedelta(days=3650)


def report_certificate(*, now: datetime) -> x509.Certificate:
    """The site's certificate, made with its key the first time it is asked for; it holds from `now` on."""
    return report_signer(now=now)[1]


def report_signer(*, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The key and the certificate. Raises KeyLost when they do not belong together."""
    key = serialization.load_pem_private_key(keys.pinned("export.key", _draw_key), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise keys.KeyLost("export.key is not a P-256 key: put the right one back")
    made = keys.pinned("export.crt", partial(_draw_certificate, key, keys.origin(), now))
    held = x509.load_pem_x509_certificate(made)
    if held.public_key() != key.public_key():
        raise keys.KeyLost("export.crt is of another key than export.key: put the right one back")
    return key, held


def fingerprint(held: x509.Certificate) -> str:
    """The certificate's SHA-256, in hex."""
    return held.fingerprint(hashes.SHA256()).hex()


def _draw_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _draw_certificate(key: ec.EllipticCurvePrivateKey, origin: str, now: datetime) -> bytes:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, origin[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, "ClinAIOps reports"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    held = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIVES)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return held.public_bytes(serialization.Encoding.PEM)
