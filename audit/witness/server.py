"""The witness over HTTP: POST /add-checkpoint, GET /<hex SHA-256 of the origin>/checkpoint, GET /health.

The rules
 * Answers as C2SP tlog-witness has them. Beside them: 411 without a length, 413 above 128 KiB, 503 while too busy.
 * Bounded, whoever asks: 64 connections, each cut after 20 seconds however slowly it speaks; 128 KiB of body. Nothing
   of a request is echoed in an answer.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from audit.witness.judging import Refused, Witness

MAX_BODY = 131_072
MAX_CONNECTIONS = 64
LIFE_S = 20.0
IDLE_S = 5.0
_LENGTH = re.compile("[0-9]{1,9}")
_CHECKPOINT = re.compile("/([0-9a-f]{64})/checkpoint")
_TEXT = "text/plain; charset=utf-8"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class Handler(BaseHTTPRequestHandler):
    """One connection. The method names are those of the standard library."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_POST(self) -> None:
        """Cosign, or say why not."""
        body = self._body()
        if body is None:
            return
        if self.path != "/add-checkpoint":
            self._answer(404, b"not found\n")
            return
        try:
            line = self.server.witness.add_checkpoint(body, now=self.server.clock())
        except Refused as refusal:
            self._refuse(refusal)
        except sqlite3.Error:
            self._answer(503, b"busy\n")
        else:
            self._answer(200, line)

    def do_GET(self) -> None:
        """The last checkpoint cosigned, or whether we are here at all."""
        asked = _CHECKPOINT.fullmatch(self.path)
        try:
            note = self.server.witness.checkpoint(asked[1] if asked else "")
        except sqlite3.Error:
            self._answer(503, b"busy\n")
            return
        answer = b"ok\n" if self.path == "/health" else note
        self._answer(200 if answer else 404, answer or b"not found\n")

    def _refuse(self, refusal: Refused) -> None:
        if refusal.size is not None:
            self._answer(refusal.status, b"%d\n" % refusal.size, "text/x.tlog.size")
        else:
            self._answer(refusal.status, f"{refusal.code}\n".encode())

    def _body(self) -> bytes | None:
        """The request's body; None once a body that cannot be read has been answered."""
        length = self.headers.get("Content-Length")
        if length is None or "Transfer-Encoding" in self.headers:
            refused = 411, b"length required\n"
        elif len(self.headers.get_all("Content-Length", [])) > 1 or _LENGTH.fullmatch(length) is None:
            refused = 400, b"length\n"
        elif int(length) > MAX_BODY:
            refused = 413, b"too long\n"
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            refused = 400, b"incomplete\n"
        self.close_connection = True
        self._answer(*refused)
        return None

    def _answer(self, status: int, body: bytes, content_type: str = _TEXT) -> None:
        if time.monotonic() - self.server.began(self.connection) > LIFE_S / 2:
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses, in plain words and without echo."""
        self.close_connection = True
        self._answer(code, b"refused\n")

    def version_string(self) -> str:
        """Nothing about the software."""
        return "witness"

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """One line for each answer but 200: the POSIX second, the status, and which of our routes."""
        if int(code) != 200:
            route = self.path if getattr(self, "path", "") == "/add-checkpoint" else "other"
            sys.stderr.write(f"{self.server.clock()} {int(code)} {route}\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        """The rest of the standard library's chatter is not kept."""


class Server(ThreadingHTTPServer):
    """The listening socket and the bound on those who talk to it."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], witness: Witness, *, clock: Callable[[], int]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.witness, self.clock = witness, clock
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._since: dict[int, float] = {}
        super().__init__(address, Handler)

    def began(self, connection: socket.socket) -> float:
        """When this connection was taken, on the monotonic clock."""
        return self._since.get(connection.fileno(), 0.0)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, or turn it away while there are too many."""
        if self._free.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except RuntimeError:  # no more threads
                self._free.release()
                self.shutdown_request(request)
            return
        with contextlib.suppress(OSError):
            request.settimeout(0)
            request.send(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, for as long as it may live."""
        number = request.fileno()
        self._since[number] = time.monotonic()
        end = threading.Timer(LIFE_S, _cut, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._since.pop(number, None)
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that goes away is no news; anything else is a bug and is said by its kind."""
        kind = sys.exc_info()[0]
        if kind is not None and not issubclass(kind, OSError):
            sys.stderr.write(f"bug: {kind.__name__}\n")


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
