"""What every operation's description says besides its own: refusals, the idempotency key, tokens, strict fields."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from ..serializers.clinic_out import SignatureNeededOut
from ..serializers.phone_out import ProblemOut

_PROBLEM = "application/problem+json"
_WHY = {
    400: "what was sent cannot be read; `errors` names each field",
    401: "no valid token or session",
    403: "not with this role or this token",
    404: "there is no such thing, or it is not yours to see",
    409: "not now: somebody was first, or the state has changed",
    413: "too large",
    415: "not JSON",
    422: "this Idempotency-Key was used for another command",
}
REFUSALS: dict[Any, Any] = {
    (status, _PROBLEM): OpenApiResponse(response=ProblemOut, description=why) for status, why in _WHY.items()
}
_TO_SIGN = "no valid token or session; or `signature_needed`: the record to be signed, with its challenge"
SIGNED: dict[Any, Any] = REFUSALS | {
    (401, _PROBLEM): OpenApiResponse(response=SignatureNeededOut, description=_TO_SIGN)
}


def _key(*, required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        "Idempotency-Key",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        required=required,
        description="One key for one intent, the same again when the command is repeated.",
    )


KEY = _key(required=True)
KEY_OPTIONAL = _key(required=False)


class StrictField(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """A field that takes one JSON type says itself which."""

    target_class = "care_loops.serializers.strict.OneType"
    match_subclasses = True

    def map_serializer_field(self, _auto_schema: Any, _direction: Any) -> dict[str, Any]:
        """As JSON Schema has it."""
        described: dict[str, Any] = self.target.described()
        return described
