"""Signing in: the library carries the steps and the throttles; who is recognised, and what opens, is said here.

Rules (SECURITY 1.4, 2.3 A11 to A15)
 * Nobody gets an account but by invitation (`services.accounts`): the library's own sign-up is closed.
 * A password is the first step. Whoever has a second factor shows it before a session is opened; nothing is remembered
   on a machine that would skip it.
 * Every way in ends in `enter`: a new session key, and a row that says how its owner was recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib.auth import login
from django.http import HttpRequest
from django.utils import timezone

from ..domain import Amr
from ..models import User
from ..services.credentials import has_second_factor
from ..services.recognising import note_wrong_password
from ..services.sessions import close_session, open_session

BACKEND = "django.contrib.auth.backends.ModelBackend"
_AMR = {"password": Amr.PASSWORD} | {how.value: how for how in (Amr.PASSKEY, Amr.CODE, Amr.RECOVERY)}


def enter(request: HttpRequest, user: User, amr: Iterable[Amr]) -> None:
    """Sign somebody in who was recognised by `amr`: a fresh session key, kept with how it was opened."""
    leave_session(request, reason="signed_in_again")
    login(request, user, backend=BACKEND)
    request.session.cycle_key()
    key = request.session.session_key or ""
    open_session(user, key=key, amr=amr, agent=request.headers.get("User-Agent", ""), now=timezone.now())


def leave_session(request: HttpRequest, *, reason: str) -> None:
    """Close what was kept of the session of this request, where there is one."""
    if isinstance(request.user, User) and request.session.session_key:
        close_session(request.user, request.session.session_key, reason=reason, now=timezone.now())


class InvitedOnly(DefaultAccountAdapter):  # type: ignore[misc]
    """The library's steps, with its own sign-up closed and its sessions opened by `enter`."""

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        """Never."""
        return False

    def login(self, request: HttpRequest, user: Any) -> None:
        """Open the session under everything that was shown on the way."""
        records = get_authentication_records(request, user)
        said = [str(record.get("type") or record["method"]) for record in records]
        enter(request, user, [_AMR[how] for how in said if how in _AMR])

    def logout(self, request: HttpRequest) -> None:
        """The session ends here as well as in the browser."""
        leave_session(request, reason="signed_out")
        super().logout(request)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """A password was not taken, or nobody has that name: recorded alike."""
        named = User.objects.filter(username=str(credentials.get("username", "")).replace("\x00", "")).first()
        note_wrong_password(named, now=timezone.now())


class OurFactors(DefaultMFAAdapter):  # type: ignore[misc]
    """Whether the second step is due, asked of our own credentials."""

    def is_mfa_enabled(self, user: Any, types: Any = None) -> bool:
        """Whether this person has enrolled a passkey or a code."""
        return isinstance(user, User) and has_second_factor(user)
