"""The OAuth server's rules, stricter than the library's own, and bearer authentication for the APIs.

Rules (SECURITY 1.4, 2.3 A16; RFC 9700)
 * Authorization code with PKCE S256 and nothing else; `plain` and no challenge at all are refused at the first step.
 * A refresh token is used once. Using it again ends every token of its family (settings turn this on in the library).
 * An account that left or was closed has no valid token, whatever its token says.
 * Every token given is recorded in the transaction that stores it, under the person who holds it and the client.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2 import InvalidRequestError

from ..services.tokens import record_issued


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
        """A token is as good as the account behind it."""
        return bool(super().validate_bearer_token(token, scopes, request)) and _may_act(request.user)

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *a: Any, **k: Any) -> bool:
        """The same for the token that would bring the next one."""
        return bool(super().validate_refresh_token(refresh_token, client, request, *a, **k)) and _may_act(request.user)

    def _create_access_token(self, expires: Any, request: Any, token: Any, source_refresh_token: Any = None) -> Any:
        """Store the token and say so in the record: the library calls this inside its transaction."""
        made = super()._create_access_token(expires, request, token, source_refresh_token)
        record_issued(
            request.user,
            client_id=request.client.client_id,
            row=str(made.pk),
            scope=str(made.scope),
            now=timezone.now(),
        )
        return made


def _may_act(user: Any) -> bool:
    return user is not None and user.is_active and user.left_at is None
