"""Signing in is the library's; making accounts is not: nobody gets one but by invitation (`services.accounts`)."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class InvitedOnly(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes the library's own sign-up."""

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        """Never."""
        return False
