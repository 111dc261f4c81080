"""The OAuth server's two pages, with the doors closed that the library leaves ajar.

Rules
 * Input that no client of ours sends (NUL, a grant this house does not give, a client that is none) is a 400, never a
   fault of the server.
 * The page on which a person agrees names the client and what it will be able to do.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from oauth2_provider.models import get_application_model
from oauth2_provider.views import AuthorizationView, TokenView

from .presence import presence_of

GRANTS = ("authorization_code", "refresh_token")


class Authorize(AuthorizationView):  # type: ignore[misc]
    """Asks the person whether this client may act for them."""

    http_method_names = ("get", "head", "post")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse what cannot be looked up."""
        if _unreadable(request):
            return _invalid("invalid_request")
        made: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return made

    def create_authorization_response(
        self, request: HttpRequest, scopes: Any, credentials: dict[str, Any], allow: bool
    ) -> Any:
        """The code that comes of this remembers how its owner was recognised."""
        said = credentials | {"presence": presence_of(request)}
        return super().create_authorization_response(request, scopes, said, allow)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """The page, with leave for its form to end at the client's address, which the library has checked by now."""
        page: HttpResponse = super().render_to_response(context, **kwargs)
        if "error" not in context:
            page.form_goes_to = _origin(context.get("redirect_uri") or "")  # type: ignore[attr-defined]
        return page

    def form_valid(self, form: Any) -> HttpResponse:
        """Refuse a client that is none, which the library takes for granted here."""
        if not get_application_model().objects.filter(client_id=form.cleaned_data["client_id"]).exists():
            return _invalid("invalid_client")
        answer: HttpResponse = super().form_valid(form)
        return answer


class Token(TokenView):  # type: ignore[misc]
    """Gives a token for a code or a refresh token."""

    http_method_names = ("post",)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Refuse every other grant before the library looks for its fields."""
        if _unreadable(request):
            return _invalid("invalid_request")
        if request.POST.get("grant_type") not in GRANTS:
            return _invalid("unsupported_grant_type")
        answer: HttpResponse = super().post(request, *args, **kwargs)
        return answer


def _origin(address: str) -> str:
    """Scheme and host of a web address; of an app's own scheme, the scheme."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if parts.scheme else ""


def _unreadable(request: HttpRequest) -> bool:
    fields = (*request.GET.lists(), *request.POST.lists())
    return any("\x00" in text for name, values in fields for text in (name, *values))


def _invalid(error: str) -> JsonResponse:
    return JsonResponse({"error": error}, status=400, headers={"Cache-Control": "no-store"})
