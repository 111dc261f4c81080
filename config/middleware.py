"""The content policy every answer carries: our own files and nothing else, no inline script, no inline style.

The rule has one exception: the page on which a person lets an app act for them ends in a redirect to that app, and
browsers hold the redirect of a form to `form-action`. It names the registered address of that one client, in
`form_goes_to`. Any other page that needs one is a page to change. `data:` images are the icons of the admin's style
sheets and the QR code of a second factor.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}
POLICY = "; ".join(f"{kind} {allowed}" for kind, allowed in SOURCES.items())
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def content_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Set the policy headers on every response, whoever made it."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        app = getattr(response, "form_goes_to", "")
        response["Content-Security-Policy"] = POLICY.replace("form-action 'self'", f"form-action 'self' {app}".strip())
        response["Permissions-Policy"] = PERMISSIONS
        return response

    return answer
