"""Who comes in, with what, and whose record they may open: what every door of the API shares.

Rules
 * Token or session, always a person with a role; a token opens only the API of its scope (SECURITY 1.4).
 * The clock is read once a request; the body is read once, before anything else looks at it, and only up to its limit.
 * A foreign record and none at all are answered with the same bytes (N10). What is refused is recorded by
   `governance.problems`.
 * Nothing a person may not keep is kept: answers carry `Cache-Control: no-store`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from governance.api.bearer import BearerToken
from governance.domain import STAFF_ROLES, NotAllowed, NotFound, Permission, Role
from governance.problems import CONTENT_TYPE
from governance.services import Acting, acting_person
from governance.services.tokens import PATIENT_SCOPE, STAFF_SCOPE
from governance.views.presence import presence_of

from ..models import Patient
from ..selectors.access import patient_for
from ..selectors.phone import record_of_person
from ..serializers.phone_in import WhoseRecord
from ..serializers.strict import StrictSerializer
from ..services.access import record_access
from .parsers import MAX_BYTES, NotReadable, StrictJSONParser
from .reading import read_query


class InsufficientScope(NotAllowed):
    """The token was given for another door."""

    code = "insufficient_scope"


def check_scope(token: Any, scope: str) -> None:
    """A token opens the doors of its scope. A session has none to ask for."""
    if token is not None and scope not in token.scopes:
        raise InsufficientScope(f"This needs a token with the scope {scope!r}.", scope=scope)


class Door(APIView):
    """One door of the API. Subclasses say the scope and do the four things."""

    authentication_classes = [BearerToken, SessionAuthentication]
    permission_classes = [IsAuthenticated]
    parser_classes = [StrictJSONParser]
    scope = STAFF_SCOPE
    query: type[StrictSerializer] = StrictSerializer

    now: datetime
    acting: Acting
    asked: dict[str, Any]
    sent: bytes
    signature: dict[str, Any] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Read the clock and the body, then ask who it is and whether the token fits this door."""
        self.now = timezone.now()
        self.sent = _body(request)
        super().initial(request, *args, **kwargs)
        token: Any = request.auth
        check_scope(token, self.scope)
        client = token.application.client_id if token is not None and token.application else None
        self.acting = acting_person(request.user, now=self.now, client=client, presence=presence_of(request))
        if self.scope == STAFF_SCOPE and not self.acting.standing.roles & STAFF_ROLES:
            raise NotAllowed("This is for staff. Your own record is under /me.", missing="role")
        self.asked = {}  # a door that keeps what it refuses needs to know that the person was let in
        self.asked = read_query(self.query, request.query_params, now=self.now)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Nothing of a record stays in a cache."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer


class PhoneDoor(Door):
    """A door of the patient's API: for patients, and for carers of a patient."""

    scope = PATIENT_SCOPE
    query = WhoseRecord

    def record(self, permission: Permission = Permission.READ_RECORD) -> Patient:
        """The record this person means and may do `permission` with."""
        if not self.acting.standing.roles & {Role.PATIENT, Role.CARER}:
            raise NotAllowed("This is for patients and those who care for them.", missing="role")
        named: UUID | None = self.asked.get("patient")
        return patient_for(self.acting, record_of_person(self.acting, named, now=self.now), permission, now=self.now)

    def read_record(self, what: str) -> Patient:
        """The record, to be read: the reading itself is recorded, once a request."""
        patient = self.record()
        record_access(patient.pk, what=what, by=self.acting, now=self.now)
        return patient


def nothing_here(_request: HttpRequest, rest: str) -> HttpResponse:
    """Every address under the API that is not one, in the API's own form."""
    gone = NotFound(f"There is nothing at {rest[:120]!r}.")
    body = {"type": "about:blank", "title": "not found", "status": 404, "code": gone.code, "detail": gone.detail}
    return JsonResponse(body, status=404, content_type=CONTENT_TYPE)


def _body(request: Request) -> bytes:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isdigit() or int(declared) > MAX_BYTES:
        raise NotReadable("too_large", f"The body may have {MAX_BYTES} bytes.", status=413)
    return bytes(request.body)
