"""Refusals on pages: the reason is shown, with its status, and recorded when it was about who may."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .domain import NotAllowed, NotFound, Refusal
from .problems import note_denial


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
