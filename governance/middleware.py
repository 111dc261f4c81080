"""Who may go on at all; and refusals on pages: the reason is shown with its status, recorded when it is about who may.

Rules (SECURITY 2.3 A11, A15)
 * A cookie counts only while its session was opened here and has not ended; otherwise the request is nobody's.
 * Staff recognised by one factor reach the pages on which the second is enrolled, and nothing else: no page, no API, no
   admin. The rule stands here, in front of every address, and again where an `Acting` is made.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve
from django.utils import timezone

from .domain import NotAllowed, NotFound, Refusal
from .models import User
from .policies import SecondFactorNeeded, SessionOver, check_factors
from .problems import CONTENT_TYPE, note_denial
from .selectors.sight import seeing_nothing, sees_as
from .services.sessions import look

ENROLMENT = "security"
# Where somebody with one factor may go: enrolling the second, the way out, and what needs no sign-in at all.
OPEN = frozenset(
    {
        "security",
        "security-passkey-options",
        "security-passkey",
        "security-code",
        "account_logout",
        "account_login",
        "way-back",
        "invitation",
    }
)


class RefusalPages:
    """Render `refused.html` for a refusal that a page let out. A foreign record and none at all look the same."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Show a refusal; leave everything else to crash."""
        if not isinstance(exception, Refusal):
            return None
        if isinstance(exception, NotAllowed | NotFound):
            note_denial(exception, request)
        template = "404.html" if exception.status == 404 else "refused.html"
        return render(request, template, {"refusal": exception}, status=exception.status)


def signed_in(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Hold every request with a session to what was shown when the session was opened."""

    def answer(request: HttpRequest) -> HttpResponse:
        with seeing_nothing():
            return known(request)

    def known(request: HttpRequest) -> HttpResponse:
        request.presence = None  # type: ignore[attr-defined]
        if not isinstance(request.user, User):
            return get_response(request)
        try:
            request.presence, roles = look(  # type: ignore[attr-defined]
                request.user, request.session.session_key or "", now=timezone.now()
            )
            check_factors(roles, request.presence.amr)  # type: ignore[attr-defined]
            sees_as(request.user.pk)
        except SessionOver as over:
            _forget(request, over)
        except SecondFactorNeeded as needed:
            if _name(request) not in OPEN:
                return _to_enrolment(request, needed)
        return get_response(request)

    return answer


def _forget(request: HttpRequest, over: SessionOver) -> None:
    """Go on as nobody; a page will say why on the sign-in form."""
    logout(request)
    request.user = AnonymousUser()
    if not _is_program(request):
        messages.info(request, over.detail)


def _to_enrolment(request: HttpRequest, needed: SecondFactorNeeded) -> HttpResponse:
    if _is_program(request):
        body = {"type": "about:blank", "title": "second factor needed", "status": 403}
        return JsonResponse(
            body | {"code": needed.code, "detail": needed.detail}, status=403, content_type=CONTENT_TYPE
        )
    return redirect(ENROLMENT)


def _is_program(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/fhir/", "/cds-services"))


def _name(request: HttpRequest) -> str | None:
    try:
        return resolve(request.path_info).url_name
    except Resolver404:
        return None
