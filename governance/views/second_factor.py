"""The second step of signing in, and signing in by a passkey alone: it is both factors in one act.

Rules (SECURITY 2.3 A11, A12, A14)
 * The second step is reached only by whoever has just shown the right password; it tells nothing to anybody else.
 * A passkey is asked for with a challenge drawn for this browser's session, used once.
 * What was wrong is one sentence, whatever was wrong.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from allauth.account.internal.decorators import login_stage_required
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.core.internal.ratelimit import consume_or_429
from allauth.mfa.stages import AuthenticateStage
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from ..domain import Method, Refusal
from ..models import User
from ..services.credentials import live
from ..services.passkeys import PasskeyNotTaken, State, request_options
from ..services.recognising import Recognised, by_code, by_passkey

CHALLENGE = "passkey challenge"


def place_of(request: HttpRequest) -> str:
    """The name under which this site is reached: what a passkey is bound to."""
    return urlsplit(f"//{request.get_host()}").hostname or ""


def keep_state(request: HttpRequest, state: State) -> None:
    """Remember the challenge for this browser."""
    request.session[CHALLENGE] = state


def take_state(request: HttpRequest) -> State:
    """The challenge of this browser, once."""
    state: State | None = request.session.pop(CHALLENGE, None)
    if state is None:
        raise PasskeyNotTaken("The request for a passkey is over. Try again.")
    return state


def said_credential(request: HttpRequest) -> dict[str, Any]:
    """What the browser's script put into the form."""
    try:
        found = json.loads(request.POST.get("credential", "")[:20_000])
    except ValueError as err:
        raise PasskeyNotTaken("No passkey was used. It needs a browser with scripts; or use a code.") from err
    if not isinstance(found, dict):
        raise PasskeyNotTaken("This is not the answer of a passkey.")
    return found


@never_cache
@require_POST
def passkey_options(request: HttpRequest) -> HttpResponse:
    """What the browser needs to ask for a passkey: any of this place, or one of the person at the second step."""
    pending = _pending(request)
    known = list(live(pending, Method.WEBAUTHN)) if pending else []
    options, state = request_options(known, place=place_of(request))
    keep_state(request, state)
    return JsonResponse(options)


@never_cache
@require_POST
def passkey_sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in with a passkey and nothing else."""
    limited: HttpResponse | None = consume_or_429(request, action="login", app="allauth.account")
    if limited is not None:
        return limited
    try:
        found = by_passkey(said_credential(request), take_state(request), place=place_of(request), now=timezone.now())
    except Refusal as refusal:
        return render(request, "account/login.html", {"refusal": refusal}, status=422)
    if not found.user.is_active or found.user.left_at is not None:
        return render(request, "account/login.html", {"refusal": PasskeyNotTaken("Not known here.")}, status=422)
    _note(request, found, alone=True)
    asked = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(asked, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    answer: HttpResponse = perform_login(request, Login(user=found.user, redirect_url=asked if safe else None))
    return answer


@sensitive_post_parameters("code", "credential")
@require_http_methods(["GET", "HEAD", "POST"])
@login_stage_required(  # type: ignore[untyped-decorator]
    stage=AuthenticateStage.key, redirect_urlname="account_login"
)
def second_step(request: HttpRequest) -> HttpResponse:
    """Show the second factor: passkey, code, or a recovery code."""
    stage = request._login_stage  # type: ignore[attr-defined]  # noqa: SLF001  (as the library hands it)
    user: User = stage.login.user
    refusal: Refusal | None = None
    if request.method == "POST":
        try:
            _note(request, _recognise(request, user), alone=False)
        except Refusal as found:
            refusal = found
        else:
            answer: HttpResponse = stage.exit()
            return answer
    shown = {
        "refusal": refusal,
        "has_passkey": live(user, Method.WEBAUTHN).exists(),
        "has_code": live(user, Method.TOTP, Method.RECOVERY_CODES).exists(),
    }
    return render(request, "account/second_step.html", shown, status=refusal.status if refusal else 200)


def _recognise(request: HttpRequest, user: User) -> Recognised:
    now = timezone.now()
    if request.POST.get("credential"):
        state = take_state(request)
        return by_passkey(said_credential(request), state, place=place_of(request), now=now, user=user)
    return by_code(user, request.POST.get("code", "")[:40], now=now)


def _note(request: HttpRequest, found: Recognised, *, alone: bool) -> None:
    """Tell the library what was shown, in the words its own steps look for."""
    kind = found.amr.value
    record_authentication(request, found.user, method="mfa", type=kind, passwordless=alone or None)


def _pending(request: HttpRequest) -> User | None:
    from allauth.account.internal.stagekit import unstash_login

    login = unstash_login(request, peek=True)
    return login.user if login is not None and isinstance(login.user, User) else None


@require_safe
def no_reset(request: HttpRequest) -> HttpResponse:
    """What to do when a password or a passkey is lost: there is no way that goes round another person."""
    return render(request, "account/help.html")


@require_http_methods(["GET", "HEAD", "POST"])
def to_sign_in(_request: HttpRequest) -> HttpResponse:
    """The admin has no door of its own."""
    return redirect("account_login")
