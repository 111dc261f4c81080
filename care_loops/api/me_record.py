"""What the patient agrees to, and withdraws: it takes effect at the next act."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.domain import Permission

from ..consent_texts import text_now
from ..presenters import phone as show
from ..presenters.consents import receipt_of
from ..selectors import phone
from ..serializers.phone_in import ConsentIn, WhoseRecord
from ..serializers.phone_out import ConsentListOut, ConsentReceiptOut
from ..services.consents import give_consent
from .base import PhoneDoor
from .idempotency import once
from .reading import read
from .schema import KEY_OPTIONAL, REFUSALS


class Consents(PhoneDoor):
    """Each thing a patient can agree to, with where it stands."""

    @extend_schema(operation_id="me_consents", parameters=[WhoseRecord], responses={200: ConsentListOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """All scopes; one never agreed to is not agreed to."""
        patient = self.read_record("consents")
        return Response({"consents": show.consents(phone.consents_of(patient))})

    @extend_schema(
        operation_id="me_give_consent",
        request=ConsentIn,
        parameters=[KEY_OPTIONAL, WhoseRecord],
        responses={200: ConsentListOut, **REFUSALS},
    )
    def post(self, request: Request) -> HttpResponse:
        """Agree to one scope or withdraw. `human_only_care` stops every automated proposal."""
        patient = self.record(Permission.GIVE_CONSENT)
        said = read(ConsentIn, request.data, now=self.now)

        def work() -> dict[str, Any]:
            give_consent(
                patient.pk,
                said["scope"],
                given=said["given"],
                version=said.get("text_version", text_now(said["scope"]).version if not said["given"] else None),
                by=self.acting,
                now=self.now,
            )
            return {"consents": show.consents(phone.consents_of(patient))}

        return once(self, request, work, key_needed=False)


class ConsentReceipt(PhoneDoor):
    """What was agreed to or withdrawn."""

    @extend_schema(
        operation_id="me_consent_receipt", parameters=[WhoseRecord], responses={200: ConsentReceiptOut, **REFUSALS}
    )
    def get(self, request: Request, entry: UUID) -> Response:
        """The words, their version, when and to whom: to keep."""
        patient = self.read_record("consent receipt")
        return Response(receipt_of(phone.consent_of(patient, entry)))
