"""One request to a program elsewhere, bounded in time and size, whatever it answers: a witness, a timestamp authority.

The rules
 * The whole exchange ends within its limit, by the clock: a watch cuts the line, so that an answer that drips in byte
   by byte, headers too, holds nobody up.
 * No redirect is followed, no proxy is asked, nothing of the answer is believed here.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

FAULTS = (OSError, http.client.HTTPException, ValueError)


class ExchangeFailed(Exception):
    """No whole answer; `code` is `address`, `unreachable`, `too-slow` or `too-long`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, the content type ("" when none is named) and the body."""

    status: int
    kind: str
    body: bytes


def exchange(
    url: str,
    *,
    body: bytes | None = None,
    kind: str = "",
    more: Mapping[str, str] | None = None,
    limit_s: float,
    most: int,
) -> Answer:
    """GET, or POST of a body of that content type, with an answer of at most `most` bytes; raises ExchangeFailed.

    `more` are headers beside ours.
    """
    until = time.monotonic() + limit_s
    line, path = _line(url, limit_s)
    try:
        line.connect()
        watch = threading.Timer(max(0.0, until - time.monotonic()), _cut, [line.sock])
        watch.daemon = True
        watch.start()
        try:
            headers = {"User-Agent": "clinaiops", "Accept": "*/*"} | ({"Content-Type": kind} if kind else {})
            headers |= dict(more or {})
            line.request("GET" if body is None else "POST", path, body, headers)
            answer = line.getresponse()
            said = answer.read(most + 1)
        finally:
            watch.cancel()
    except FAULTS as err:
        raise ExchangeFailed("too-slow" if time.monotonic() >= until else "unreachable") from err
    finally:
        line.close()
    if len(said) > most:
        raise ExchangeFailed("too-long")
    if time.monotonic() >= until:  # what was read may be the part before the cut
        raise ExchangeFailed("too-slow")
    return Answer(answer.status, answer.getheader("Content-Type") or "", said)


def _line(url: str, limit_s: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection that is not open yet, and what to ask it for."""
    try:
        where: SplitResult = urlsplit(url)
        host, port = where.hostname, where.port
    except ValueError as err:
        raise ExchangeFailed("address") from err
    if where.scheme not in {"http", "https"} or not host:
        raise ExchangeFailed("address")
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    if where.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=limit_s), path
    return http.client.HTTPSConnection(host, port, timeout=limit_s, context=ssl.create_default_context()), path


def _cut(line: socket.socket) -> None:
    """Whoever reads the line finds its end. Asked of the plain socket: a TLS one would wait for a farewell."""
    with suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)
