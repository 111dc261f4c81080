"""What a clinician's tool signs and records beside decisions: alert limits, and what became of a visit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from governance.domain import Permission

from ..danger import LimitName
from ..presenters import visits
from ..presenters.limits import signed
from ..selectors.access import patient_for
from ..serializers.clinic_in import AlertLimitsIn, VisitIn
from ..serializers.clinic_out import AlertLimitsOut, RecordedVisitOut
from ..services.limits import sign_alert_limits
from ..services.visits import NewVisit, record_visit
from .base import Door
from .idempotency import once
from .reading import read
from .schema import KEY, REFUSALS, SIGNED
from .signing import read_signed


class AlertLimits(Door):
    """Where this patient's alerts speak earlier than the site's."""

    @extend_schema(
        operation_id="sign_alert_limits",
        request=AlertLimitsIn,
        parameters=[KEY],
        responses={201: AlertLimitsOut, **SIGNED},
    )
    def post(self, request: Request, patient_id: UUID) -> HttpResponse:
        """Sign a new version; it replaces the one before, and none can be later than the site's."""
        patient = patient_for(self.acting, patient_id, Permission.SIGN_ALERT_LIMITS, now=self.now)
        said = read_signed(self, AlertLimitsIn, request)
        limits = {LimitName(name): value for name, value in said.items()}

        def work() -> dict[str, Any]:
            return signed(sign_alert_limits(patient.pk, limits, by=self.acting, now=self.now))

        return once(self, request, work, status=201)


class Visits(Door):
    """What became of a visit."""

    @extend_schema(
        operation_id="record_visit", request=VisitIn, parameters=[KEY], responses={201: RecordedVisitOut, **REFUSALS}
    )
    def post(self, request: Request, patient_id: UUID) -> HttpResponse:
        """Held, not held or cancelled; the next visit is planned by the rule."""
        patient = patient_for(self.acting, patient_id, Permission.PLAN_VISIT, now=self.now)
        new = NewVisit(**read(VisitIn, request.data, now=self.now))

        def work() -> dict[str, Any]:
            return visits.recorded(record_visit(patient.pk, new, by=self.acting, now=self.now))

        return once(self, request, work, status=201)
