"""The OAuth server's rules, stricter than the library's own, and bearer authentication for the APIs.

Rules (SECURITY 1.4, 2.3 A16; RFC 9700)
 * Authorization code with PKCE S256 and nothing else; `plain` and no challenge at all are refused at the first step.
 * A refresh token is used once. Using it again ends every token of its family (settings turn this on in the library).
 * Staff get a token under two factors only, and it does not outlive the sign-in it came of.
 * An account that left or was closed has no valid token, whatever its token says.
 * Every token given is recorded in the transaction that stores it, under the person who holds it and the client.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2 import InvalidRequestError

from ..domain import Presence, Refusal
from ..services.tokens import check_token, given_under, keep_under, record_issued


class StrictValidator(OAuth2Validator):  # type: ignore[misc]
    """The library's validator with the doors closed that this house does not use."""

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Any, *a: Any, **k: Any
    ) -> bool:
        """Only `code`, and only with an S256 challenge."""
        if response_type != "code":
            return False
        if not request.code_challenge or request.code_challenge_method != "S256":
            raise InvalidRequestError(description="A code_challenge with method S256 is needed.", request=request)
        return bool(super().validate_response_type(client_id, response_type, client, request, *a, **k))

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Any, *a: Any, **k: Any
    ) -> bool:
        """Only a code, or a refresh token that came of one."""
        if grant_type not in ("authorization_code", "refresh_token"):
            return False
        return bool(super().validate_grant_type(client_id, grant_type, client, request, *a, **k))

    def validate_bearer_token(self, token: str, scopes: list[str], request: Any) -> bool:
        """A token is as good as the account behind it, and as the sign-in it came of."""
        if not super().validate_bearer_token(token, scopes, request) or not _may_act(request.user):
            return False
        row = request.access_token
        return _holds(request.user, given_under("access", str(row.pk), session=row.token_checksum))

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *a: Any, **k: Any) -> bool:
        """The same for the token that would bring the next one."""
        if not super().validate_refresh_token(refresh_token, client, request, *a, **k) or not _may_act(request.user):
            return False
        return _holds(request.user, given_under("refresh", str(request.refresh_token_instance.pk)))

    def _create_authorization_code(self, request: Any, code: Any, expires: Any = None) -> Any:
        """The code remembers how its owner was recognised: whoever exchanges it has no session to ask."""
        presence = getattr(request, "presence", None)
        if presence is not None:
            request.claims = {"amr": list(presence.amr), "since": presence.since.isoformat()}
        return super()._create_authorization_code(request, code, expires)

    def _create_access_token(self, expires: Any, request: Any, token: Any, source_refresh_token: Any = None) -> Any:
        """Store the token and say so in the record: the library calls this inside its transaction."""
        made = super()._create_access_token(expires, request, token, source_refresh_token)
        record_issued(
            request.user,
            client_id=request.client.client_id,
            row=str(made.pk),
            scope=str(made.scope),
            presence=_presence(request, source_refresh_token),
            now=timezone.now(),
        )
        return made

    def _create_refresh_token(self, request: Any, code: Any, access_token: Any, previous: Any) -> Any:
        """What held for the access token holds for the one that brings the next."""
        made = super()._create_refresh_token(request, code, access_token, previous)
        presence = given_under("access", str(access_token.pk))
        if presence is not None:
            keep_under("refresh", str(made.pk), presence)
        return made


def _presence(request: Any, source: Any) -> Presence | None:
    """How the owner was recognised: from the code, or from the refresh token that is being used up."""
    if source is not None:
        return given_under("refresh", str(source.pk))
    said = getattr(request, "claims", None) or {}
    if "amr" not in said:
        return None
    return Presence(session="", amr=tuple(said["amr"]), since=datetime.fromisoformat(said["since"]))


def _holds(user: Any, presence: Presence | None) -> bool:
    """Whether a token given under this still opens anything."""
    try:
        check_token(user, presence, now=timezone.now())
    except Refusal:
        return False
    return True


def _may_act(user: Any) -> bool:
    return user is not None and user.is_active and user.left_at is None
