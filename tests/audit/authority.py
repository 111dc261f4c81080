"""A timestamp authority of the tests (RFC 3161): real certificates, real tokens, over HTTP when asked to.

It answers as a test says: honestly, over another imprint, with another number, with a wrong clock, with nonsense, late.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from asn1crypto import algos, keys, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.sign.timestamps import DummyTimeStamper

START = datetime(2020, 1, 1, tzinfo=UTC)


class Authority:
    """A root, and a clock's key under it."""

    def __init__(self, *, stamps: bool = True) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
        root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
        clock = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clock")])
        use = ExtendedKeyUsageOID.TIME_STAMPING if stamps else ExtendedKeyUsageOID.SERVER_AUTH
        self.pem = self._certificate(self._name, root_key, root_key).public_bytes(serialization.Encoding.PEM)
        leaf = self._certificate(clock, key, root_key, use=use).public_bytes(serialization.Encoding.DER)
        self._leaf = asn1_x509.Certificate.load(leaf)
        pkcs8 = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._key = keys.PrivateKeyInfo.load(key.private_bytes(*pkcs8))

    def _certificate(self, subject, key, issuer_key, *, use=None) -> x509.Certificate:
        built = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        built = built.serial_number(1001 - bool(use)).not_valid_before(START)
        built = built.not_valid_after(START + timedelta(days=9999))
        built = built.add_extension(x509.BasicConstraints(ca=use is None, path_length=None), critical=True)
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        built = built.add_extension(issuer, critical=False)
        if use:
            built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=True)
        return built.sign(issuer_key, hashes.SHA256())

    def answer(self, asked: tsp.TimeStampReq, at: datetime | None = None) -> tsp.TimeStampResp:
        """The signed answer to a request."""
        now = (at or datetime.now(UTC)).replace(microsecond=0)
        return DummyTimeStamper(
            tsa_cert=self._leaf, tsa_key=self._key, fixed_dt=now, include_nonce=False
        ).request_tsa_response(asked)

    def stamp(self, text: bytes, at: datetime) -> bytes:
        """A token over a text, without a number, as DER."""
        return self.answer(request(text), at).dump()


def request(text: bytes, *, nonce: int | None = None) -> tsp.TimeStampReq:
    """What one would send to have this text stamped."""
    algorithm = algos.DigestAlgorithm({"algorithm": "sha256"})
    imprint = tsp.MessageImprint({"hash_algorithm": algorithm, "hashed_message": sha256(text).digest()})
    return tsp.TimeStampReq(
        {"version": 1, "message_imprint": imprint, "cert_req": True} | ({"nonce": nonce} if nonce else {})
    )


Answering = Callable[[tsp.TimeStampReq], tuple[int, bytes]]


@contextmanager
def serving(answering: Answering, *, drip_s: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """Answers requests on a port of this machine: its address, and the bodies that it was sent."""
    asked: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            status, body = answering(tsp.TimeStampReq.load(asked[-1]))
            head = f"HTTP/1.0 {status} x\r\nContent-Type: application/timestamp-reply\r\n\r\n".encode()
            whole = head + body
            try:
                for start in range(0, len(whole), 10 if drip_s else len(whole)):
                    self.wfile.write(whole[start : start + 10] if drip_s else whole)
                    self.wfile.flush()
                    time.sleep(drip_s)
            except OSError:
                pass  # the one who asked has gone

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa", asked
    finally:
        server.shutdown()
        server.server_close()
