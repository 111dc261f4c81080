"""A report as section 9 of `audit/README.md` has it: what it carries, the text of its pages, its signature (V16).

The file's structure is read by pypdf, the CMS by asn1crypto; what must hold of them is said here. A file that pypdf
mends and our verifier does not is none that anybody signed: its bytes are no more those that the signature covers.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

from asn1crypto import cms, core
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import ByteStringObject, ContentStream, TextStringObject

from .bundle import Bundle
from .notes import Forged, Key, Malformed, note
from .shapes import HASH, made_of, many
from .spelling import Misspelled, read
from .verdict import Unusable

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it mends it would tell
CARRIED = ["bundle.zip", "pages.json", "pages.note"]
LISTING = made_of({"bundle_sha256": HASH, "pages": many(HASH)})
BEYOND_TEXT = {"Do", "INLINE IMAGE", "BI", "sh", "gs", "Tr", "W", "W*"}
_HEXES = re.compile(r"<([0-9A-Fa-f]*)>")


class Wrong(Exception):
    """Something about the report does not hold; the argument is the class."""


class Report:
    """A report that can be read at all.

    :raises Unusable: it cannot, or it carries something else than reports do
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        try:
            self.reader = PdfReader(io.BytesIO(data), strict=False)
            self.root: Any = self.reader.trailer["/Root"]
            names = self.root["/Names"]["/EmbeddedFiles"]["/Names"]
            pairs = [(str(names[at]), names[at + 1]["/EF"]["/F"].get_data()) for at in range(0, len(names), 2)]
        except Exception as wrong:
            raise Unusable("pdf-unreadable") from wrong
        if sorted(name for name, _ in pairs) != CARRIED:
            raise Unusable("pdf-attachments")
        carried = dict(pairs)
        self.bundle, self.pages_json, self.pages_note = (carried[name] for name in CARRIED)
        self.digest = hashlib.sha256(self.bundle).hexdigest()
        try:
            self.listing: Any = read(self.pages_json)
        except Misspelled as wrong:
            raise Unusable("pdf-attachments") from wrong
        if not LISTING(self.listing):
            raise Unusable("pdf-attachments")

    def check(self, opened: Bundle, statements: list[Key]) -> str:
        """The class of the first thing that does not hold, in the order of section 9; empty when all does.

        :raises Unusable: the pages cannot be read
        """
        try:
            self.noted(opened.manifest["origin"], statements)
            self.drawn()
            self.signed(opened)
        except Wrong as wrong:
            return str(wrong.args[0])
        except Exception as wrong:
            raise Unusable("pdf-unreadable") from wrong
        return ""

    # --- pages.note

    def noted(self, origin: str, statements: list[Key]) -> None:
        lines = ["clinaiops/report-pages/v1", origin, self.digest, hashlib.sha256(self.pages_json).hexdigest()]
        try:
            said = note(self.pages_note)
            good = bool(said.by(statements)) and said.text == "".join(f"{line}\n" for line in lines)
        except (Malformed, Forged):
            good = False
        if not good:
            raise Wrong("pdf-note")

    # --- pages

    def drawn(self) -> None:
        if self.listing["bundle_sha256"] != self.digest:
            raise Wrong("pdf-bundle")
        expected: list[str] = self.listing["pages"]
        number = 0
        for number, text in enumerate(self.texts(), 1):
            if number > len(expected):
                raise Wrong("pdf-pages")
            same = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() == expected[number - 1]
            if not same or self.digest not in text:
                raise Wrong("pdf-page")
        if number != len(expected):
            raise Wrong("pdf-pages")

    def texts(self) -> Iterator[str]:
        for page in self.reader.pages:
            for each in page.get("/Annots") or []:
                seen = each.get_object()
                unseen = all(float(side) == 0 for side in seen["/Rect"])
                if (seen.get("/FT"), seen.get("/Subtype"), unseen) != ("/Sig", "/Widget", True):
                    raise Wrong("pdf-page")
            yield "".join("".join(self.shown(page)).split())

    def shown(self, page: Any) -> Iterator[str]:
        fonts = page["/Resources"].get("/Font", {})
        letters: dict[int, str] = {}
        for operands, operator in ContentStream(page["/Contents"].get_object(), self.reader).operations:
            name = operator.decode() if isinstance(operator, bytes) else str(operator)
            if name in BEYOND_TEXT:
                raise Wrong("pdf-page")
            if name == "Tf":
                letters = meanings(fonts[operands[0]].get("/ToUnicode"))
            elif name in ("Tj", "TJ", "'", '"'):
                pieces = operands[-1] if isinstance(operands[-1], list) else [operands[-1]]
                for piece in pieces:
                    if isinstance(piece, TextStringObject | ByteStringObject):
                        yield "".join(letters.get(code, "\ufffd") for code in piece.original_bytes)

    # --- the signature

    def signed(self, opened: Bundle) -> None:
        try:
            certificate = self.signer()
        except (KeyError, ValueError, TypeError, PyPdfError) as wrong:
            raise Wrong("pdf-signature") from wrong
        if hashlib.sha256(certificate).hexdigest() not in {*certificates(opened)}:
            raise Wrong("pdf-signature")

    def signer(self) -> bytes:
        """The certificate, in DER, by which the whole file but the digits of the signature is signed."""
        (field,) = self.root["/AcroForm"]["/Fields"]
        value = field.get_object()["/V"]
        zero, length, after, rest = (int(each) for each in value["/ByteRange"])
        digits = self.data[length:after]
        whole = (zero, after + rest) == (0, len(self.data)) and 0 < length < after
        if not whole or value["/SubFilter"] != "/ETSI.CAdES.detached":
            raise Wrong("pdf-signature")
        if re.fullmatch(rb"<(?:[0-9A-F]{2})+>", digits) is None:
            raise Wrong("pdf-signature")
        contents = bytes.fromhex(digits[1:-1].decode())
        digest = hashlib.sha256(self.data[:length] + self.data[after:]).digest()
        found = cms.ContentInfo.load(contents)
        body = found["content"]
        (info,), (held,) = body["signer_infos"], body["certificates"]
        certificate: bytes = held.chosen.dump()
        said = {each["type"].native: each["values"][0] for each in info["signed_attrs"]}
        named = {each["cert_hash"].native for each in said["signing_certificate_v2"]["certs"]}
        if said["message_digest"].native != digest or hashlib.sha256(certificate).digest() not in named:
            raise Wrong("pdf-signature")
        spelled = respelled(held.chosen, info).dump()
        if contents != spelled + bytes(len(contents) - len(spelled)):
            raise Wrong("pdf-signature")
        key = x509.load_der_x509_certificate(certificate).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise Wrong("pdf-signature")
        over = info["signed_attrs"].untag().dump()
        try:
            key.verify(info["signature"].native, over, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as wrong:
            raise Wrong("pdf-signature") from wrong
        return certificate


def respelled(certificate: Any, info: Any) -> Any:
    """The one spelling of section 9 around a certificate, the signed attributes and the signature over them."""
    sha256 = {"algorithm": "sha256", "parameters": core.Null()}
    by = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier({"issuer_and_serial_number": cms.IssuerAndSerialNumber(by)}),
        "digest_algorithm": sha256,
        "signed_attrs": info["signed_attrs"],
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": info["signature"].native,
    }
    data = {
        "version": "v1",
        "digest_algorithms": [sha256],
        "encap_content_info": {"content_type": "data"},
        "certificates": [cms.CertificateChoices("certificate", certificate)],
        "signer_infos": [signer],
    }
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)})


def certificates(opened: Bundle) -> Iterator[str]:
    """The certificates for reports that the log's own entries name, by SHA-256."""
    own = {each.body["id"]: each.type for each in opened.entries if each.object[0] == "log"}
    for line in opened.payloads:
        said = json.loads(line["body"]) if own.get(line["entry"]) in ("log.genesis", "key.created") else {}
        if own.get(line["entry"]) == "log.genesis":
            yield str(said.get("report_certificate_sha256"))
        elif said.get("use") == "report":
            yield str(said.get("certificate_sha256"))


def meanings(table: Any) -> dict[int, str]:
    """What the codes of a font mean, by its ToUnicode table: pairs, and ranges of one byte that count upward."""
    found: dict[int, str] = {}
    section = ""
    for line in [] if table is None else table.get_object().get_data().decode("latin-1").splitlines():
        words = line.split()
        if words[-1:] in (["beginbfchar"], ["beginbfrange"]):
            section = words[-1]
        elif words[:1] in (["endbfchar"], ["endbfrange"]):
            section = ""
        codes = [bytes.fromhex(each) for each in _HEXES.findall(line)]
        if section == "beginbfchar":
            for code, said in zip(codes[::2], codes[1::2], strict=True):
                found[int.from_bytes(code)] = said.decode("utf-16-be", "replace")
        elif section == "beginbfrange":
            for low, high, said in zip(codes[::3], codes[1::3], codes[2::3], strict=True):
                for step, code in enumerate(range(int.from_bytes(low), int.from_bytes(high) + 1)):
                    found[code] = chr(int.from_bytes(said) + step)
    return found
