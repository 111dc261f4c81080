"""The world outside, simulated: a post office (SMTP), an SMS gateway, a push service. Each is itself checked.

They keep what they were given, refuse what the protocols refuse, and can be told to be away, slow, or unwilling.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


@dataclass
class PostOffice:
    """What a mail server took, and whom it does not know."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    busy: bool = False


@contextmanager
def post_office() -> Iterator[PostOffice]:
    """An SMTP server (RFC 5321: EHLO, MAIL, RCPT, DATA, QUIT, in that order)."""
    office = PostOffice()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 post office")
            sender, to = "", []
            while line := self.rfile.readline(1000).decode().strip():
                verb = line.partition(" ")[0].upper()
                if verb in {"EHLO", "HELO"}:
                    self._say("250 hello")
                elif verb == "MAIL":
                    sender = line
                    self._say("451 busy" if office.busy else "250 ok")
                elif verb == "RCPT":
                    who = line[line.index("<") + 1 : line.index(">")]
                    known = sender and who not in office.unknown
                    to += [who] if known else []
                    self._say("250 ok" if known else "550 no such person" if sender else "503 who sends?")
                elif verb == "DATA" and to:
                    self._say("354 go on")
                    self._take(to)
                    self._say("250 taken")
                elif verb == "QUIT":
                    return self._say("221 bye")
                elif verb == "RSET":
                    sender, to = "", []
                    self._say("250 ok")
                else:
                    self._say("503 not now")
            return None

        def _take(self, to: list[str]) -> None:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line[1:] if line.startswith(b"..") else line)
            letter = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(letter, EmailMessage)
            assert {address.addr_spec for address in letter["To"].addresses} == set(to)
            office.letters.append(letter)

        def _say(self, said: str) -> None:
            self.wfile.write(f"{said}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        office.port = server.server_address[1]
        with _serving(server):
            yield office


@dataclass
class Gateway:
    """What an SMS gateway took, by key: one message for one key."""

    url: str = ""
    token: str = "a token"
    messages: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: int = 0
    answers: Callable[[int], int] = lambda _: 200


@contextmanager
def sms_gateway() -> Iterator[Gateway]:
    """A gateway that knows a repeated message by its key."""
    gateway = Gateway()

    def take(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        gateway.asked += 1
        if headers.get("Authorization") != f"Bearer {gateway.token}":
            return 401, b"{}"
        status = gateway.answers(gateway.asked)
        if status != 200:
            return status, b"{}"
        said = json.loads(body)
        assert set(said) == {"to", "text", "key"}
        assert len(said["text"]) <= 160
        gateway.messages[said["key"]] = said
        return 200, json.dumps({"id": f"sms-{said['key']}"}).encode()

    with _http(take) as port:
        gateway.url = f"http://127.0.0.1:{port}/send"
        yield gateway


@dataclass
class PushService:
    """What a push service took: its headers."""

    address: str = ""
    taken: list[dict[str, str]] = field(default_factory=list)
    gone: bool = False


@contextmanager
def push_service() -> Iterator[PushService]:
    """A push service (RFC 8030) that checks who sends (RFC 8292) and takes no body."""
    service = PushService()

    def take(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if service.gone:
            return 410, b""
        if body or int(headers["TTL"]) < 1 or not _sender_holds(headers["Authorization"], service.address):
            return 403, b""
        service.taken.append(headers)
        return 201, b""

    with _http(take) as port:
        service.address = f"http://127.0.0.1:{port}/wake/phone-1"
        yield service


def _sender_holds(said: str, address: str) -> bool:
    """Whether the token is signed by the key it names, for this very origin, for at most a day."""
    scheme, _, rest = said.partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims, signature = parts["t"].split(".")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _raw(parts["k"]))
    r, s = (int.from_bytes(_raw(signature)[at : at + 32], "big") for at in (0, 32))
    key.verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    named = json.loads(_raw(claims))
    origin = address.rpartition("/wake/")[0]
    return scheme == "vapid" and json.loads(_raw(head))["alg"] == "ES256" and named["aud"] == origin


def _raw(said: str) -> bytes:
    return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))


@contextmanager
def _http(take: Callable[[dict[str, str], bytes], tuple[int, bytes]]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = take(dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with _serving(server):
        yield server.server_address[1]


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
