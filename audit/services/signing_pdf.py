"""A report in its final form: drawn from a bundle, its pages vouched for, signed as PAdES by the site's certificate.

The rules (21 CFR 11.30, 11.70; SECURITY 3.5)
 * What is signed is the drawing as it is, byte for byte: the signature follows it, so the file begins with what any
   release like this one draws from the bundle inside.
 * The signature's time is that of the export as the bundle states it, not this machine's at signing.
 * The certificate is the site's own (`certificates`), known by its SHA-256, which the log names: a reader needs no
   certificate authority, only the log.
 * Anything that is not drawn and signed completely leaves no file.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from audit import notes
from audit.bundles.writing import file_sha256
from audit.reports import Drawn, draw
from audit.reports.body import Progress
from audit.services import certificates, keys

FIELD = "ClinAIOps"
ROOM = 8192  # bytes kept for the signature; ours has about 2,000
_UNSEEN = fields.SigFieldSpec(FIELD, on_page=0)


@dataclass(frozen=True, slots=True)
class Signed:
    """A finished report. `certificate_sha256` (hex) is what the log names."""

    path: Path
    sha256: str
    size_bytes: int
    drawn: Drawn
    certificate_sha256: str


def write_report(bundle: Path, out: Path, *, now: datetime, progress: Progress | None = None) -> Signed:
    """Draw and sign the report of a bundle of this site. Raises BundleInvalid; what `progress` raises ends it."""
    key, held = certificates.report_signer(now=now)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        plain, done = Path(folder) / "plain.pdf", Path(folder) / "signed.pdf"
        with plain.open("wb") as target:
            drawn = draw(bundle, target, sign=_statement, progress=progress)
        with plain.open("rb") as source, done.open("w+b") as target:
            sign(source, target, at=drawn.made_at, key=key, certificate=held)
        done.chmod(0o600)
        digest, size = file_sha256(done), done.stat().st_size
        done.replace(out)
    return Signed(out, digest, size, drawn, certificates.fingerprint(held))


def sign(
    source: BinaryIO, out: BinaryIO, *, at: datetime, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    """Add an unseen PAdES signature (ETSI EN 319 142, baseline B) over a drawn report to a copy of it in `out`."""
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    by = signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER)),
        signing_key=asn1_keys.PrivateKeyInfo.load(private),
        cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
    )
    meta = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        reason="Drawn from the bundle inside",
        subfilter=fields.SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES,
    )
    asyncio.run(_signed(_Update(source), out, signers.PdfSigner(meta, by, new_field_spec=_UNSEEN), at))
    out.flush()


async def _signed(update: IncrementalPdfFileWriter, out: BinaryIO, signer_: signers.PdfSigner, at: datetime) -> None:
    """What `PdfSigner.sign_pdf` does, with the time handed in."""
    session = signer_.init_signing_session(update)
    session.system_time = at
    document = session.prepare_tbs_document(validation_info=None, bytes_reserved=ROOM)
    prepared, _ = document.digest_tbs_document(output=out)
    attributes = signers.pdf_cms.PdfCMSSignedAttributes(signing_time=at)
    await document.perform_signature(document_digest=prepared.document_digest, pdf_cms_signed_attrs=attributes)


class _Update(IncrementalPdfFileWriter):
    """The revision that holds the signature: it changes nothing that the drawing says, no clock's time either."""

    def _update_meta(self) -> None:
        """The drawing's title, time and maker stay."""


def _statement(text: bytes) -> bytes:
    return notes.sign(text, name=keys.statement_name(), key=keys.statement_key())
