"""What is answered when something failed on our side, whatever it was: programs get a problem document, people a page.

The rules
 * Addresses of programs answer `application/problem+json` with a stable code, also when the fault comes before the
   view: the session itself is in the database.
 * A database that is away is a fault that passes: 503 and when to come back. Anything else is a bug: 500.
 * Nothing was recorded that was not answered with success; the same command with the same key may be sent again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import server_error

PROGRAMS = ("/api/", "/fhir/", "/cds-services", "/o/")
COME_BACK = 5  # seconds
_AWAY = "The database cannot be reached just now. Send the same command again with the same key."
_BUG = "Something failed on our side. What was sent may not have been recorded: look before you send it again."


def failed(request: HttpRequest) -> HttpResponse:
    """The answer to an exception that nobody caught; Django calls it while it handles that exception."""
    away = any(isinstance(each, OperationalError | InterfaceError) for each in _chain(sys.exc_info()[1]))
    if request.path.startswith(PROGRAMS):
        answer = _problem("database_away", 503, _AWAY) if away else _problem("failed", 500, _BUG)
    else:
        answer = server_error(request)
        answer.status_code = 503 if away else 500
    if away:
        answer["Retry-After"] = str(COME_BACK)
    return answer


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _problem(code: str, status: int, detail: str) -> HttpResponse:
    body: dict[str, object] = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "code": code}
    body["detail"] = detail
    if status == 503:
        body["retry_after"] = COME_BACK
    return JsonResponse(body, status=status, content_type="application/problem+json")
