"""What was put before the patient, and the answer: accept, decline, or ask a person instead.

Rules
 * Only what is with the patient is here; everything else is as if it were not (N1).
 * An answer needs an Idempotency-Key. Only the patient answers; a carer reads.
 * Asking a person is always open and costs nothing: it is one of the three answers, not a way out of them.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.domain import Permission

from ..presenters import phone as show
from ..selectors import phone
from ..serializers.phone_in import AnswerIn, WhoseRecord
from ..serializers.phone_out import AnsweredOut, ProposalListOut, ProposalOut
from ..services.respond import Answer, holds_now, respond
from .base import PhoneDoor
from .idempotency import once
from .reading import read
from .schema import KEY, REFUSALS

MOST = 50


class Recommendations(PhoneDoor):
    """Everything that was put before this patient."""

    @extend_schema(
        operation_id="me_recommendations", parameters=[WhoseRecord], responses={200: ProposalListOut, **REFUSALS}
    )
    def get(self, request: Request) -> Response:
        """The newest fifty."""
        patient = self.read_record("recommendations")
        loops = list(phone.visible_loops(patient)[:MOST])
        holds = holds_now(patient, loops, now=self.now)
        shown = [show.proposal(loop, holds, self.now) for loop in loops]
        return Response({"recommendations": shown})


class Recommendation(PhoneDoor):
    """One of them."""

    @extend_schema(operation_id="me_recommendation", parameters=[WhoseRecord], responses={200: ProposalOut, **REFUSALS})
    def get(self, request: Request, loop_id: UUID) -> Response:
        """In plain words."""
        patient = self.read_record(f"recommendation {loop_id}")
        loop = phone.visible_loop(self.acting, patient, loop_id, Permission.READ_RECORD, now=self.now)
        return Response(show.proposal(loop, holds_now(patient, [loop], now=self.now), self.now))


class _Answer(PhoneDoor):
    answer: Answer

    def _answered(self, request: Request, loop_id: UUID) -> HttpResponse:
        patient = self.record(Permission.RESPOND)
        said = read(AnswerIn, request.data if self.sent else {}, now=self.now)

        def work() -> dict[str, Any]:
            phone.visible_loop(self.acting, patient, loop_id, Permission.RESPOND, now=self.now)
            respond(loop_id, self.answer, reason_code=said.get("reason", ""), by=self.acting, now=self.now)
            return show.answered(loop_id, self.answer.value, self.now)

        return once(self, request, work)


class Accept(_Answer):
    """Yes."""

    answer = Answer.ACCEPT

    @extend_schema(
        operation_id="me_accept",
        request=AnswerIn,
        parameters=[KEY, WhoseRecord],
        responses={200: AnsweredOut, **REFUSALS},
    )
    def post(self, request: Request, loop_id: UUID) -> HttpResponse:
        """Accept the change; it counts once the first dose is logged."""
        return self._answered(request, loop_id)


class Decline(_Answer):
    """No."""

    answer = Answer.DECLINE

    @extend_schema(
        operation_id="me_decline",
        request=AnswerIn,
        parameters=[KEY, WhoseRecord],
        responses={200: AnsweredOut, **REFUSALS},
    )
    def post(self, request: Request, loop_id: UUID) -> HttpResponse:
        """Decline the change; nothing changes."""
        return self._answered(request, loop_id)


class AskPerson(_Answer):
    """A person instead."""

    answer = Answer.ASK_PERSON

    @extend_schema(
        operation_id="me_ask_person",
        request=AnswerIn,
        parameters=[KEY, WhoseRecord],
        responses={200: AnsweredOut, **REFUSALS},
    )
    def post(self, request: Request, loop_id: UUID) -> HttpResponse:
        """Give it to the care team; nothing changes until a person decides."""
        return self._answered(request, loop_id)
