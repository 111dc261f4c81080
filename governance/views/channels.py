"""What a provider tells us of a message it took: that it has arrived.

Rules
 * It counts only with the token that this site shares with the gateway, as HMAC-SHA256 over the very bytes.
 * It is bounded, read strictly, and moves one message from taken to arrived; whatever else it says is not looked at.
"""

from __future__ import annotations

import json
from uuid import uuid4

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ..domain import BadInput, NotAllowed, Refusal
from ..services import acting_job
from ..services.notices import delivered, receipt_fits

MOST = 10_000
ARRIVED = "delivered"


@csrf_exempt  # no session and no cookie opens it: the signature over the body does
@require_POST
def sms_receipt(request: HttpRequest) -> HttpResponse:
    """`{"id": ..., "status": "delivered"}`, signed in `X-Signature`. 204 also for other states."""
    try:
        reference = _read(request)
        if reference is not None:
            delivered(reference, by=acting_job("sms-gateway", str(uuid4())), now=timezone.now())
    except Refusal as refusal:
        said = {"type": "about:blank", "status": refusal.status, "code": refusal.code, "detail": refusal.detail}
        return JsonResponse(said, status=refusal.status, content_type="application/problem+json")
    return HttpResponse(status=204)


def _read(request: HttpRequest) -> str | None:
    """The reference of what has arrived; None for any other state. Raises NotAllowed, BadInput."""
    body = request.read(MOST + 1)
    if len(body) > MOST:
        raise BadInput("The receipt is too long.", field="body", problem="too_long")
    if not receipt_fits(body, request.headers.get("X-Signature", "")):
        raise NotAllowed("The receipt is not signed with this site's token.", missing="signature")
    try:
        said = json.loads(body)
        reference, status = said["id"], said["status"]
    except (ValueError, KeyError, TypeError) as err:
        raise BadInput("The receipt cannot be read.", field="body", problem="form") from err
    if not isinstance(reference, str) or len(reference) > 120:
        raise BadInput("The receipt names no message.", field="id", problem="form")
    return reference if status == ARRIVED else None
