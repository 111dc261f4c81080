"""The clinician's doors, for tools: the same services as the pages, the same checks, the same signature."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.domain import Permission, Relation
from governance.permissions import check

from ..domain.loops import DecisionKind
from ..presenters import clinic as show
from ..selectors.access import alert_for, loop_for, patient_for
from ..selectors.worklist import worklist
from ..serializers.clinic_in import DecisionIn, DispositionIn, FirstAnswerIn, NothingIn, OrderIn
from ..serializers.clinic_out import (
    AlertStateOut,
    DecidedOut,
    FirstAnswerOut,
    OrderedOut,
    RecommendationOut,
    WorklistOut,
)
from ..services.access import record_access, record_listing
from ..services.alerts import acknowledge_alert, dispose_alert
from ..services.decide import DecisionInput, decide
from ..services.first import AnswerInput, answer_first
from ..services.order import OrderInput, write_order
from .base import Door
from .idempotency import once
from .reading import read
from .schema import KEY, KEY_OPTIONAL, REFUSALS, SIGNED
from .signing import read_signed


class Worklist(Door):
    """What waits for this person."""

    @extend_schema(operation_id="worklist", responses={200: WorklistOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """The most urgent first."""
        check(Permission.SEE_WORKLIST, self.acting.standing, frozenset({Relation.SITE}))
        record_listing("worklist", by=self.acting, now=self.now)
        found = worklist(self.acting, now=self.now)
        return Response({"items": [show.work_item(item) for item in found.items]})


class Recommendation(Door):
    """One recommendation."""

    @extend_schema(operation_id="recommendation", responses={200: RecommendationOut, **REFUSALS})
    def get(self, request: Request, loop_id: UUID) -> Response:
        """With everything that was considered."""
        loop = loop_for(self.acting, loop_id, Permission.READ_RECORD, now=self.now)
        what = "evidence before the proposal" if loop.asks_first else f"recommendation {loop_id}"
        record_access(loop.patient_id, what=what, by=self.acting, now=self.now)
        return Response(show.recommendation(loop, now=self.now))


class Decide(Door):
    """A signed decision."""

    @extend_schema(operation_id="decide", request=DecisionIn, parameters=[KEY], responses={200: DecidedOut, **SIGNED})
    def post(self, request: Request, loop_id: UUID) -> HttpResponse:
        """Approve, modify or reject; two at once, and one of them learns who was first (409)."""
        loop_for(self.acting, loop_id, Permission.DECIDE, now=self.now)
        said = read_signed(self, DecisionIn, request)
        chosen = DecisionInput(
            kind=DecisionKind(said["kind"]),
            reason_code=said.get("reason_code", ""),
            free_text=said.get("free_text", ""),
            seen_version=said["seen_version"],
            candidate_key=said.get("candidate_key"),
        )

        def work() -> dict[str, Any]:
            return show.decided(decide(loop_id, chosen, by=self.acting, now=self.now))

        return once(self, request, work)


class FirstAnswer(Door):
    """What somebody would do, before they are shown what was proposed."""

    @extend_schema(
        operation_id="first_answer",
        request=FirstAnswerIn,
        parameters=[KEY_OPTIONAL],
        responses={200: FirstAnswerOut, **REFUSALS},
    )
    def post(self, request: Request, loop_id: UUID) -> HttpResponse:
        """Recorded once for each person; only where the proposal was drawn."""
        loop_for(self.acting, loop_id, Permission.DECIDE, now=self.now)
        said = read(FirstAnswerIn, request.data, now=self.now)
        answer = AnswerInput(said["answer"], said.get("free_text", ""), said["seen_version"])

        def work() -> dict[str, Any]:
            return show.answered(answer_first(loop_id, answer, by=self.acting, now=self.now))

        return once(self, request, work, key_needed=False)


class Orders(Door):
    """A clinician's own change."""

    @extend_schema(operation_id="write_order", request=OrderIn, parameters=[KEY], responses={201: OrderedOut, **SIGNED})
    def post(self, request: Request, patient_id: UUID) -> HttpResponse:
        """Write it: same checks, same signature, same trail as a proposal."""
        patient = patient_for(self.acting, patient_id, Permission.WRITE_ORDER, now=self.now)
        said = read_signed(self, OrderIn, request)
        order = OrderInput(
            candidate_key=said["candidate_key"],
            reason_code=said["reason_code"],
            free_text=said.get("free_text", ""),
            override=tuple(said.get("override", ())),
        )

        def work() -> dict[str, Any]:
            return show.ordered(write_order(patient.pk, order, by=self.acting, now=self.now))

        return once(self, request, work, status=201)


class Acknowledge(Door):
    """Somebody has seen an alert."""

    @extend_schema(
        operation_id="acknowledge_alert",
        request=NothingIn,
        parameters=[KEY_OPTIONAL],
        responses={200: AlertStateOut, **REFUSALS},
    )
    def post(self, request: Request, alert_id: UUID) -> HttpResponse:
        """Take it on; the escalation stops, locks and bars stay."""
        alert_for(self.acting, alert_id, Permission.ACKNOWLEDGE_ALERT, now=self.now)
        read(NothingIn, request.data if self.sent else {}, now=self.now)

        def work() -> dict[str, Any]:
            return show.alert_state(acknowledge_alert(alert_id, by=self.acting, now=self.now))

        return once(self, request, work, key_needed=False)


class Dispose(Door):
    """How an alert ended."""

    @extend_schema(
        operation_id="dispose_alert",
        request=DispositionIn,
        parameters=[KEY_OPTIONAL],
        responses={200: AlertStateOut, **REFUSALS},
    )
    def post(self, request: Request, alert_id: UUID) -> HttpResponse:
        """Say it with a code of the list; this alone lifts a danger lock."""
        alert_for(self.acting, alert_id, Permission.DISPOSE_ALERT, now=self.now)
        said = read(DispositionIn, request.data, now=self.now)

        def work() -> dict[str, Any]:
            alert = dispose_alert(alert_id, code=said["code"], text=said.get("text", ""), by=self.acting, now=self.now)
            return show.alert_state(alert)

        return once(self, request, work, key_needed=False)
