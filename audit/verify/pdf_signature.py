"""The signature over a report's bytes: PAdES, that is CMS over the whole file but itself, by a certificate (V16).

The rules
 * The signature is in the newest revision and covers every byte of the file but its own digits: what was added later,
   or stands outside, is none of the report's.
 * ECDSA on P-256 with SHA-256; signed attributes with the digests of the file and the certificate (RFC 5652, RFC 5035).
 * The signature has one spelling, so that no byte of the file can change unseen.
 * No authority is asked. The certificate is one that an entry of the log's own in the bundle inside names by SHA-256:
   `report_certificate_sha256` of `log.genesis`, or `certificate_sha256` of a `key.created` with the use `report`. The
   caller has verified the bundle before.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO
from zipfile import ZipFile

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from audit.verify.pdf_syntax import CHUNK, Document
from audit.verify.spelling import Wrong, parse

MAX_SIGNATURE = 64 * 1024
SIGNED_DATA, MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d010904")
CERTIFICATE_V2, SHA256 = bytes.fromhex("2a864886f70d010910022f"), bytes.fromhex("608648016503040201")
ECDSA_SHA256 = bytes.fromhex("2a8648ce3d040302")
DATA = bytes.fromhex("2a864886f70d010701")
INTEGER, OCTETS, NULL, OID, SEQUENCE, SET, TAGGED = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31, 0xA0


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed, by the certificate's SHA-256 (hex) and name, and when the signature says it was made."""

    certificate_sha256: str
    name: str
    at: str


def wrong(detail: str) -> Wrong:
    """The signature does not hold."""
    return Wrong("V16", "pdf-signature", detail)


def check_signature(document: Document, bundle: BinaryIO) -> Signature:
    """The signature of the file by a certificate that the verified bundle names; raises Wrong when it does not hold."""
    signature = read_signature(document)
    if not _named(bundle, signature.certificate_sha256):
        raise wrong(f"by a certificate that the log does not name ({signature.name})")
    return signature


def _named(bundle: BinaryIO, digest: str) -> bool:
    """Whether an entry of the log's own names the certificate."""
    with ZipFile(bundle) as archive:
        with archive.open("entries.jsonl") as lines:
            own = {}
            for line in lines:
                if b'"type":"log.genesis"' in line or b'"type":"key.created"' in line:
                    entry = parse(line.partition(b" ")[2][:-1], "V16", "pdf-signature")
                    if entry["object"]["type"] == "log":
                        own[entry["id"]] = entry["type"]
        with archive.open("payloads.jsonl") as lines:
            for line in lines:
                if digest.encode() in line and (
                    kind := own.get((kept := parse(line[:-1], "V16", "pdf-signature"))["entry"])
                ):
                    said = parse(kept["body"].encode(), "V16", "pdf-signature")
                    first = kind == "log.genesis" and said.get("report_certificate_sha256") == digest
                    if first or (said.get("use") == "report" and said.get("certificate_sha256") == digest):
                        return True
    return False


def read_signature(document: Document) -> Signature:
    """The signature of the file, whoever made it; raises Wrong when it does not hold or there is none."""
    form = document.dictionary(document.trailer.get("Root")).get("AcroForm")
    if form is None:
        raise wrong("the report is not signed")
    fields = document.get(document.dictionary(form).get("Fields"))
    if not isinstance(fields, list) or len(fields) != 1:
        raise wrong("not one signature")
    said = document.dictionary(document.dictionary(fields[0]).get("V"))
    contents, covered = said.get("Contents"), document.get(said.get("ByteRange"))
    if said.get("SubFilter") != "ETSI.CAdES.detached" or not isinstance(contents, bytes):
        raise wrong("not PAdES")
    digest = _covered(document, covered, contents)
    when = document.get(said.get("M"))
    try:
        held = _verified(contents, digest)
    except (ValueError, IndexError, TypeError, UnsupportedAlgorithm) as err:
        raise wrong(f"not a signature ({type(err).__name__})") from err
    name = held.subject.rfc4514_string()
    at = when.decode("latin-1") if isinstance(when, bytes) else ""
    return Signature(held.fingerprint(hashes.SHA256()).hex(), name, at)


def _covered(document: Document, covered: Any, contents: bytes) -> bytes:
    """The digest of everything but the signature's own digits; raises Wrong when it is not everything."""
    if not isinstance(covered, list) or len(covered) != 4 or not all(type(each) is int for each in covered):
        raise wrong("what it covers")
    start, length, after, rest = covered
    inside = 0 <= length < after <= document.size and after - length <= 2 * MAX_SIGNATURE
    if start != 0 or not inside or after + rest != document.size:
        raise wrong("bytes that it does not cover")
    digits = document.data[length:after]
    if digits[:1] != b"<" or digits[-1:] != b">" or digits[1:-1] != contents.hex().upper().encode():
        raise wrong("it covers less than it should")
    digest = sha256()
    for begin, end in ((0, length), (after, document.size)):
        for at in range(begin, end, CHUNK):
            digest.update(document.data[at : min(at + CHUNK, end)])
    return digest.digest()


# -- CMS --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """One value of DER: its tag, its content and all its bytes."""

    tag: int
    inside: bytes
    whole: bytes

    def parts(self) -> list[_Part]:
        """The values inside."""
        found, at = [], 0
        while at < len(self.inside):
            part = _read(self.inside, at)
            found.append(part)
            at += len(part.whole)
        return found


def _read(data: bytes, at: int = 0) -> _Part:
    tag, length, begin = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("long tag")
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 3:
            raise ValueError("length")
        length, begin = int.from_bytes(data[begin : begin + size], "big"), begin + size
    if begin + length > len(data):
        raise ValueError("too short")
    return _Part(tag, data[begin : begin + length], data[at : begin + length])


def _verified(contents: bytes, digest: bytes) -> x509.Certificate:
    """The certificate whose key signed the digest; raises Wrong, or ValueError for what is no CMS."""
    signed = _read(contents).parts()[1].parts()[0].parts()
    (held,) = next(part for part in signed if part.tag == TAGGED).parts()
    attributes, _, signature = signed[-1].parts()[0].parts()[3:6]
    whole = _spelled(held, attributes, signature)
    if contents != whole + bytes(len(contents) - len(whole)):
        raise wrong("not in its one spelling")
    said = {part.parts()[0].inside: part.parts()[1].parts()[0] for part in attributes.parts()}
    if said[MESSAGE_DIGEST].inside != digest:
        raise wrong("the file is not what was signed")
    if sha256(held.whole).digest() not in {part.inside for part in said[CERTIFICATE_V2].parts()[0].parts()[0].parts()}:
        raise wrong("the certificate is not the one that was signed with")
    certificate = x509.load_der_x509_certificate(held.whole)
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("another key")
    try:
        key.verify(signature.inside, bytes([SET]) + attributes.whole[1:], ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as err:
        raise wrong("the signature is not this certificate's") from err
    return certificate


def _spelled(held: _Part, attributes: _Part, signature: _Part) -> bytes:
    """The whole CMS around certificate, signed attributes and signature: nothing in it is left to chance."""
    fields = held.parts()[0].parts()
    issuer, serial = fields[3].whole, fields[1].whole
    one, with_sha256 = _made(INTEGER, b"\x01"), _made(SEQUENCE, _made(OID, SHA256), _made(NULL))
    signer = _made(
        SEQUENCE,
        one,
        _made(SEQUENCE, issuer, serial),
        with_sha256,
        attributes.whole,
        _made(SEQUENCE, _made(OID, ECDSA_SHA256)),
        _made(OCTETS, signature.inside),
    )
    content = _made(SEQUENCE, _made(OID, DATA))
    data = _made(SEQUENCE, one, _made(SET, with_sha256), content, _made(TAGGED, held.whole), _made(SET, signer))
    return _made(SEQUENCE, _made(OID, SIGNED_DATA), _made(TAGGED, data))


def _made(tag: int, *parts: bytes) -> bytes:
    inside = b"".join(parts)
    if len(inside) < 0x80:
        return bytes([tag, len(inside)]) + inside
    length = len(inside).to_bytes((len(inside).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + inside
