"""Bearer tokens of our OAuth server, for every API of the house, and how the API's description names them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from rest_framework.request import Request

from ..selectors.sight import sees_as


class BearerToken(OAuth2Authentication):  # type: ignore[misc]
    """A token in the header and nowhere else: the body is not looked into for one."""

    def authenticate(self, request: Request) -> Any:
        """The person and the token, or None."""
        found = super().authenticate(request._request)  # noqa: SLF001  the library would parse the body of DRF's own
        if found is not None and found[0] is not None:
            sees_as(found[0].pk)
        return found


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is got: code with PKCE S256. A door that names a scope needs a token with it."""

    target_class = "governance.api.bearer.BearerToken"
    name = "oauth2"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, Any]:
        """The flow of our OAuth server."""
        scopes: dict[str, str] = settings.OAUTH2_PROVIDER["SCOPES"]  # type: ignore[assignment]
        flow = {
            "authorizationUrl": "/o/authorize/",
            "tokenUrl": "/o/token/",
            "refreshUrl": "/o/token/",
            "scopes": scopes,
        }
        return {"type": "oauth2", "flows": {"authorizationCode": flow}}

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        """The scope of this very door."""
        scope = getattr(auto_schema.view, "scope", None)
        return {self.name: [scope] if scope else []}
