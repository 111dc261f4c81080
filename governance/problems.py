"""Refusals as `application/problem+json` (RFC 9457) with a stable `code`, and as pages.

Rules
 * Our refusals keep their code, status and sentence; a framework's own errors get a code of theirs.
 * A refusal of who-may is recorded (SECURITY 3.3). A bug is not dressed up: it goes on to the server's 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils import timezone
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_handler

from .domain import NotAllowed, NotFound, Refusal
from .services import acting_person, record_denial

CONTENT_TYPE = "application/problem+json"


def problem(status: int, code: str, detail: str, extra: Mapping[str, object] | None = None) -> Response:
    """A problem document. `type` is `about:blank`: the code is what programs read."""
    body: dict[str, object] = {"type": "about:blank", "title": code.replace("_", " "), "status": status}
    body |= {"code": code, "detail": detail} | dict(extra or {})
    return Response(body, status=status, content_type=CONTENT_TYPE)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Translate what a door let out. Anything unknown is a bug and is left to crash."""
    if isinstance(exc, Refusal):
        if isinstance(exc, NotAllowed | NotFound):
            note_denial(exc, context["request"])
        return problem(exc.status, exc.code, exc.detail, exc.extra)
    status = getattr(exc, "http_status", None)
    code = getattr(exc, "code", None)
    if isinstance(status, int) and isinstance(code, str):  # refusals of the record, which knows nobody
        return problem(status, code.replace("-", "_"), str(exc))
    return _framework(exc, context)


def _framework(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's and Django's own refusals."""
    if isinstance(exc, Http404):
        return problem(404, "not_found", "There is nothing here.")
    if isinstance(exc, PermissionDenied):
        return problem(403, "not_allowed", "You may not do this.")
    answer = drf_handler(exc, context)
    if answer is None or not isinstance(exc, APIException):
        return None
    headers = {k: v for k, v in answer.items() if k.lower() in ("www-authenticate", "retry-after", "allow")}
    if isinstance(exc, ValidationError):
        made = problem(400, "bad_input", "Some fields cannot be read.", {"fields": exc.detail})
    else:
        made = problem(exc.status_code, str(exc.default_code), str(exc.detail))
    for name, value in headers.items():
        made[name] = value
    return made


def note_denial(exc: Refusal, request: Any) -> None:
    """Record a refused act of a signed-in person. Anonymous knocking is counted by the web server's log."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return
    now = timezone.now()
    try:
        by = acting_person(user, now=now)
    except NotAllowed:
        return
    record_denial(
        exc, by=by, what=f"{request.method} {request.path}", object_type="route", object_id=request.path[:120], now=now
    )
