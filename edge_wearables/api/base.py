"""What the doors for devices share: raw bytes up to a cap, a limit on knocking that a device on the mend never meets.

Rules
 * The body is read as bytes, never by a framework's parser, and never more than the cap and one byte.
 * A door's clock is the machine's. Only code of ours that makes a door of its own (a simulated hospital, by
   `as_view(clock=...)`) gives it another; nothing that is sent can.
 * Limits count by network address and claimed device together, so that nobody can lock another's device out by using
   its name. A device that comes back after a month offline sends its backlog within the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import IO, Any

from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from ..envelope import MAX_BODY

Clock = Callable[[], datetime]


class RawBody(BaseParser):
    """The bytes as they came, whatever they are called."""

    media_type = "*/*"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        """At most one byte more than a message may have."""
        return stream.read(MAX_BODY + 1)


class DeviceThrottle(SimpleRateThrottle):
    """Messages a minute from one address for one claimed device: many times what a backlog needs."""

    scope = "devices"
    rate = "600/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Address and claimed device."""
        claimed = str(request.headers.get("Device-Id", ""))[:40]
        return f"throttle:devices:{self.get_ident(request)}:{claimed.encode().hex()}"


class EnrolmentThrottle(DeviceThrottle):
    """Codes tried a minute from one address."""

    scope = "device-enrolment"
    rate = "30/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """Address alone: a code cannot be guessed faster by changing names."""
        return f"throttle:device-enrolment:{self.get_ident(request)}"


def raw_body(request: Request) -> bytes:
    """The request's bytes; nothing sent is no bytes."""
    sent: Any = request.data
    return sent if isinstance(sent, bytes) else b""
