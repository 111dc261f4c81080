"""POST /api/v1/devices/enrol: a device trades its one-time code and a proof of its key for its identity."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import strict_json
from ..domain import Unreadable
from ..formats import fields
from ..services import Claim, enrol_device
from ..signatures import unpack
from .base import Clock, EnrolmentThrottle, RawBody, raw_body

MAX_CLAIM = 4096


def read_claim(body: bytes) -> Claim:
    """The claim in a request's bytes. Raises `Unreadable`."""
    if len(body) > MAX_CLAIM:
        raise Unreadable("body_too_large", f"A claim has at most {MAX_CLAIM} bytes.")
    said = fields.only(strict_json.loads(body), {"code", "public_key", "proof"}, name="the claim")
    texts = {name: fields.text(fields.needed(said, name), name=name) for name in ("code", "public_key", "proof")}
    return Claim(
        code=texts["code"],
        public_key=unpack(texts["public_key"], size=32, name="public_key"),
        proof=unpack(texts["proof"], size=64, name="proof"),
    )


class EnrolmentDoor(APIView):
    """The one-time code is the authentication."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (RawBody,)
    throttle_classes = (EnrolmentThrottle,)
    clock: Clock = staticmethod(timezone.now)

    @extend_schema(
        operation_id="devices_enrol",
        summary="Enrol a device's key with a one-time code",
        request={"application/json": OpenApiTypes.OBJECT},
        responses=dict.fromkeys(
            ((200, "application/json"), *((s, "application/problem+json") for s in (400, 401, 403, 429))),
            OpenApiTypes.OBJECT,
        ),
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Answer with the device's identity; the same claim again is answered the same."""
        key = enrol_device(read_claim(raw_body(request)), now=self.clock())
        device = key.device
        return Response(
            {
                "device_id": str(device.pk),
                "key_id": key.key_id,
                "method": device.method,
                "validated": device.validated,
                "zone": device.zone or None,
            }
        )
