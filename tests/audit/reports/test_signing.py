"""A report in its final form: PAdES over the drawing, by a certificate that the log names."""

import io

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from audit.reports import draw
from audit.services import certificates, keys, signing_pdf
from tests.audit.reports import cases


@pytest.fixture
def bundle(tmp_path):
    """A patient's history."""
    return cases.write(cases.patient_history(), tmp_path / "b.zip", report="decision_history")


def checked(data: bytes, certificate):
    """What pyHanko says of the one signature in a file."""
    (signature,) = PdfFileReader(io.BytesIO(data)).embedded_signatures
    root = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    return validate_pdf_signature(signature, ValidationContext(trust_roots=[root], moment=cases.NOON))


@pytest.mark.django_db
def test_a_report_is_written_whole_and_another_reader_finds_its_signature_good(bundle, tmp_path):
    said = signing_pdf.write_report(bundle, tmp_path / "r.pdf", now=cases.NOON)
    status = checked(said.path.read_bytes(), certificates.report_certificate(now=cases.NOON))
    assert status.bottom_line
    assert status.coverage.name == "ENTIRE_FILE"
    assert said.size_bytes == said.path.stat().st_size
    assert said.path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.zip", "r.pdf"]


@pytest.mark.django_db
def test_the_file_begins_with_the_drawing_byte_for_byte(bundle, tmp_path):
    said = signing_pdf.write_report(bundle, tmp_path / "r.pdf", now=cases.NOON)
    again = io.BytesIO()
    draw(bundle, again, sign=signing_pdf._statement)
    assert said.path.read_bytes().startswith(again.getvalue())


def test_the_time_of_the_signature_is_that_of_the_export(bundle):
    plain, done = io.BytesIO(), io.BytesIO()
    at = draw(bundle, plain, sign=cases.statement).made_at
    signing_pdf.sign(plain, done, at=at, key=cases.REPORT_KEY, certificate=cases.certificate())
    (signature,) = PdfFileReader(done).embedded_signatures
    assert signature.self_reported_timestamp.isoformat() == "2026-06-01T08:30:00+00:00"
    assert b"ModDate" not in done.getvalue()[len(plain.getvalue()) :]


def test_a_changed_byte_is_found_by_another_reader_too(bundle):
    plain, done = io.BytesIO(), io.BytesIO()
    at = draw(bundle, plain, sign=cases.statement).made_at
    signing_pdf.sign(plain, done, at=at, key=cases.REPORT_KEY, certificate=cases.certificate())
    assert checked(done.getvalue(), cases.certificate()).bottom_line
    changed = bytearray(done.getvalue())
    changed[changed.index(b"ClinAIOps audit.reports")] ^= 1
    assert not checked(bytes(changed), cases.certificate()).bottom_line


@pytest.mark.django_db
def test_what_ends_the_drawing_leaves_no_file(bundle, tmp_path):
    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        signing_pdf.write_report(bundle, tmp_path / "r.pdf", now=cases.NOON, progress=stop)
    assert [each.name for each in tmp_path.iterdir()] == ["b.zip"]


@pytest.mark.django_db
def test_the_certificate_is_made_once_and_its_key_is_nobody_else_s_to_read():
    one, other = (certificates.report_certificate(now=cases.NOON) for _ in range(2))
    assert one == other
    assert one.public_key() == certificates.report_signer(now=cases.NOON)[0].public_key()
    for name in ("export.key", "export.crt"):
        assert (keys.keys_dir() / name).stat().st_mode & 0o777 == 0o600
