"""A person's own security page: passkeys, codes, recovery codes, sessions, password. Also where newcomers enrol.

Rules (SECURITY 2.3 A11, A12, A15)
 * The first second factor needs the session that an invitation, a way back or a password opened; every later change
   needs the password again, so that a machine left open enrols nobody.
 * Enrolling opens a new session under everything shown: the one before was not enough.
"""

from __future__ import annotations

from io import BytesIO
from urllib.parse import quote
from uuid import UUID

import qrcode
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from qrcode.image.svg import SvgPathImage

from ..domain import STAFF_ROLES, Amr, BadInput, Method, Refusal
from ..models import User
from ..policies import two_factors
from ..services.codes import draw_secret
from ..services.credentials import draw_recovery_codes, enrol_code, enrol_passkey, has_second_factor, live, revoke
from ..services.passkeys import creation_options
from ..services.recognising import check_password
from ..services.sessions import end_own_session, end_sessions, is_this, open_sessions
from ..services.ways_back import WayBackOver, change_password, come_back, still_open
from .accounts import enter
from .door import own_page
from .presence import presence_of
from .second_factor import keep_state, place_of, said_credential, take_state
from .signing import StaffRequest

SECRET = "code secret"  # noqa: S105  (the name of a place, not what lies there)


def _show(request: StaffRequest, *, refusal: Refusal | None = None, codes: tuple[str, ...] = ()) -> HttpResponse:
    user = request.acting.person()
    key = request.session.session_key
    staff = bool(request.acting.standing.roles & STAFF_ROLES)
    shown = {
        "refusal": refusal,
        "codes": codes,
        "staff": staff,
        "enrolled": has_second_factor(user),
        "passkeys": live(user, Method.WEBAUTHN).select_related("use", "confirmed"),
        "generators": live(user, Method.TOTP).select_related("use", "confirmed"),
        "sheets": live(user, Method.RECOVERY_CODES),
        "sessions": [(row, is_this(row, key)) for row in open_sessions(user)[:50]],
        "has_name": not place_of(request).replace(".", "").isdigit(),
        "complete": not staff or two_factors(presence_of(request).amr),
    }
    return render(request, "governance/security.html", shown, status=refusal.status if refusal else 200)


@require_safe
@own_page
def security(request: StaffRequest) -> HttpResponse:
    """What this person signs in with, and where they are signed in."""
    return _show(request)


@never_cache
@require_POST
@own_page
def passkey_options(request: StaffRequest) -> HttpResponse:
    """What the browser needs to make a passkey for this person."""
    user = request.acting.person()
    options, state = creation_options(user, list(live(user, Method.WEBAUTHN)), place=place_of(request))
    keep_state(request, state)
    return JsonResponse(options)


@sensitive_post_parameters("password", "credential")
@require_POST
@own_page
def passkey(request: StaffRequest) -> HttpResponse:
    """Enrol the passkey that the browser made."""
    try:
        _again(request)
        answer, state = said_credential(request), take_state(request)
        name, place = request.POST.get("name", ""), place_of(request)
        enrol_passkey(answer, state, name=name, place=place, by=request.acting, now=request.now)
    except Refusal as refusal:
        return _show(request, refusal=refusal)
    messages.success(request, "The passkey is enrolled.")
    return _enrolled(request, Amr.PASSKEY)


@sensitive_post_parameters("password", "code")
@require_http_methods(["GET", "HEAD", "POST"])
@own_page
def code(request: StaffRequest) -> HttpResponse:
    """Enrol an app that shows codes: its secret is drawn here, and taken once a code of it was shown."""
    refusal: Refusal | None = None
    if request.method == "POST":
        try:
            _again(request)
            secret = request.session.get(SECRET) or draw_secret()
            enrol_code(secret, request.POST.get("code", "")[:20], by=request.acting, now=request.now)
        except Refusal as found:
            refusal = found
        else:
            request.session.pop(SECRET, None)
            messages.success(request, "The app that shows codes is enrolled.")
            return _enrolled(request, Amr.CODE)
    else:
        request.session[SECRET] = draw_secret()
    secret = request.session.get(SECRET) or draw_secret()
    request.session[SECRET] = secret
    user = request.acting.person()
    shown = {"refusal": refusal, "secret": secret, "picture": _picture(user, secret), "again": has_second_factor(user)}
    return render(request, "governance/code.html", shown, status=refusal.status if refusal else 200)


@sensitive_post_parameters("password")
@require_POST
@own_page
def recovery_codes(request: StaffRequest) -> HttpResponse:
    """Draw a new sheet and show it, this once."""
    try:
        _again(request)
        sheet = draw_recovery_codes(by=request.acting, now=request.now)
    except Refusal as refusal:
        return _show(request, refusal=refusal)
    return _show(request, codes=sheet.codes)


@sensitive_post_parameters("password")
@require_POST
@own_page
def remove(request: StaffRequest, credential_id: UUID) -> HttpResponse:
    """End one of one's own credentials."""
    try:
        _again(request)
        revoke(credential_id, by=request.acting, now=request.now)
    except Refusal as refusal:
        return _show(request, refusal=refusal)
    messages.success(request, "It opens nothing any more.")
    return redirect("security")


@require_POST
@own_page
def end_session(request: StaffRequest, session_id: UUID) -> HttpResponse:
    """End one of one's own sessions."""
    end_own_session(session_id, by=request.acting, now=request.now)
    messages.success(request, "That session has ended.")
    return redirect("security")


@require_POST
@own_page
def end_others(request: StaffRequest) -> HttpResponse:
    """End every session but this one."""
    keep = request.session.session_key
    ended = end_sessions(request.acting.person(), by=request.acting, now=request.now, reason="by_owner", but=keep)
    messages.success(request, f"{ended} other sessions have ended.")
    return redirect("security")


@sensitive_post_parameters("password", "new")
@require_POST
@own_page
def password(request: StaffRequest) -> HttpResponse:
    """Change one's own password; every other session ends."""
    said = request.POST
    try:
        if said.get("new", "") != said.get("again", ""):
            raise BadInput("The two new passwords differ.", field="again")
        keep = request.session.session_key or ""
        change_password(said.get("password", ""), said.get("new", ""), by=request.acting, now=request.now, keep=keep)
    except Refusal as refusal:
        return _show(request, refusal=refusal)
    messages.success(request, "Your password is changed. Sign in again.")
    return redirect("account_login")


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def way_back(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind a way back's link: a new password, and on to enrolment."""
    now = timezone.now()
    refusal: Refusal | None = None
    try:
        way = still_open(token, now=now)
        if request.method == "POST":
            if request.POST.get("password", "") != request.POST.get("again", ""):
                refusal = BadInput("The two passwords differ.", field="again")
            else:
                user = come_back(token, request.POST.get("password", ""), now=now)
                enter(request, user, [Amr.INVITATION, Amr.PASSWORD])
                return redirect("security")
    except WayBackOver as over:
        return render(request, "care_loops/invitation_over.html", {"refusal": over}, status=over.status)
    except Refusal as found:
        refusal = found
    shown = {"refusal": refusal, "person": way.user, "opened_by": way.opened_by}
    return render(request, "governance/way_back.html", shown, status=422 if refusal else 200)


def _again(request: StaffRequest) -> None:
    """The password once more, from whoever has a second factor already."""
    user = request.acting.person()
    if has_second_factor(user):
        check_password(user, request.POST.get("password", ""), now=request.now)


def _enrolled(request: StaffRequest, how: Amr) -> HttpResponse:
    """On with a new session, under what was shown before and now."""
    before = [Amr(word) for word in presence_of(request).amr]
    user = request.acting.person()
    enter(request, user, [*before, how])
    return redirect("security")


def _picture(user: User, secret: str) -> str:
    """The QR code of a secret, as an address for an image."""
    label = quote(f"ClinAIOps:{user.username}")
    url = f"otpauth://totp/{label}?secret={secret}&issuer=ClinAIOps"
    buffer = BytesIO()
    qrcode.make(url, image_factory=SvgPathImage, box_size=12, border=2).save(buffer)
    return "data:image/svg+xml," + quote(buffer.getvalue().decode())
