"""How the person behind a request came in: by a session that was opened here, or by a token that says under what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest

from ..domain import Presence
from ..services.tokens import given_under

NOBODY = Presence(session="", amr=(), since=datetime(1970, 1, 1, tzinfo=UTC))


def presence_of(request: HttpRequest | Any) -> Presence:
    """What the session or token of this request was opened under. Nothing that says so is nothing shown."""
    token: Any = getattr(request, "auth", None)
    if token is not None:
        return given_under("access", str(token.pk), session=token.token_checksum) or NOBODY
    plain = getattr(request, "_request", request)
    found: Presence | None = getattr(plain, "presence", None)
    return found or NOBODY
