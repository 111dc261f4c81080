"""POST /api/v1/devices/batches: a signed batch of readings (docs/device_protocol.md)."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from ..envelope import HEADERS, Message
from ..services import receive
from .base import Clock, DeviceThrottle, RawBody, raw_body


class BatchDoor(APIView):
    """The signature is the authentication: no session, no token, no cookie."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (RawBody,)
    throttle_classes = (DeviceThrottle,)
    clock: Clock = staticmethod(timezone.now)

    @extend_schema(
        operation_id="devices_send_batch",
        summary="Send a signed batch of readings",
        parameters=[OpenApiParameter(name, str, OpenApiParameter.HEADER, required=True) for name in HEADERS],
        request={"application/json": OpenApiTypes.OBJECT},
        responses=dict.fromkeys(
            ((200, "application/json"), *((s, "application/problem+json") for s in (400, 401, 403, 413, 429, 503))),
            OpenApiTypes.OBJECT,
        ),
        auth=[],
    )
    def post(self, request: Request) -> HttpResponse:
        """Each reading is answered by its number: accepted, duplicate, rejected or quarantined with a code."""
        message = Message(
            headers={name: str(request.headers.get(name, "")) for name in HEADERS},
            body=raw_body(request),
            encoding=str(request.headers.get("Content-Encoding", "")).strip().lower(),
        )
        answer = receive(message, now=self.clock())
        response = HttpResponse(answer.body, content_type="application/json")
        response["Batch-Replayed"] = "true" if answer.replayed else "false"
        return response
