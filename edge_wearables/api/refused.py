"""GET /api/v1/devices/refused: what was refused or held back at the entrance, for staff who may look at it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from care_loops.api.base import check_scope
from governance.domain import STAFF_ROLES, BadInput, NotAllowed
from governance.services import Acting, acting_person
from governance.services.tokens import STAFF_SCOPE
from governance.views.presence import presence_of

from ..presenters import refused_reading
from ..services.looking import look_at_refused

PAGE = 100


class RefusedDoor(APIView):
    """For people with SEE_QUARANTINE, by session or a token of staff; each look is recorded."""

    now: datetime
    acting: Acting

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who it is, and whether the token fits this door."""
        super().initial(request, *args, **kwargs)
        check_scope(request.auth, STAFF_SCOPE)
        self.now = timezone.now()
        self.acting = acting_person(request.user, now=self.now, presence=presence_of(request))
        if not self.acting.standing.roles & STAFF_ROLES:
            raise NotAllowed("This is for staff.", missing="role")

    @extend_schema(
        operation_id="devices_refused",
        summary="What was refused or held back",
        parameters=[
            OpenApiParameter("device", OpenApiTypes.UUID, OpenApiParameter.QUERY),
            OpenApiParameter("page", OpenApiTypes.INT, OpenApiParameter.QUERY),
        ],
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> Response:
        """Newest first, a page of a hundred."""
        device, page = _device(request), _page(request)
        rows, more = look_at_refused(by=self.acting, now=self.now, device_id=device, page=page, size=PAGE)
        return Response({"refused": [refused_reading(row) for row in rows], "more": more})


def _device(request: Request) -> UUID | None:
    text = request.query_params.get("device")
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError as err:
        raise BadInput("device is not a UUID.", field="device") from err


def _page(request: Request) -> int:
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4 and int(text) >= 1):
        raise BadInput("page is a number from 1.", field="page")
    return int(text)
