"""Addresses for the tests of the matrix itself: a route nobody has spoken of, and doors without their lock.

Behind a door without its lock row-level security still shows nothing (`tests/care_loops/test_row_security.py`), so that
the matrix would find nothing: where it hides the defect, `past_the_net` takes it away too.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from care_loops.api.base import Door, PhoneDoor
from care_loops.models import Loop, Patient
from care_loops.presenters import clinic as show
from care_loops.services import give_consent
from config.urls import urlpatterns as of_the_house
from governance.selectors.sight import EVERYTHING, seeing
from governance.services import acting_person
from governance.views.door import StaffRequest, page

past_the_net = partial(seeing, EVERYTHING)


@page
@past_the_net()
def patient_of_any_team(request: StaffRequest, patient_id: UUID) -> HttpResponse:
    """The patient page with the check of the relation taken out."""
    found = Patient.objects.filter(pk=patient_id).first()
    return HttpResponse(found.shown_name if found else "none", status=200 if found else 404)


def alerts_for_everybody(_request: HttpRequest) -> HttpResponse:
    """A list of staff with the sign-in taken out."""
    return HttpResponse("alerts", status=200)


@page
def search_for_all_staff(_request: StaffRequest) -> HttpResponse:
    """The record's search with the permission taken out."""
    return HttpResponse("search")


class AnybodysRecommendation(Door):
    """A tool's door that says of a foreign record that it is there."""

    @past_the_net()
    def get(self, request: Request, loop_id: UUID) -> Response:
        """403 where the house says 404."""
        loop = Loop.objects.filter(pk=loop_id).first()
        if loop is None:
            return Response(status=404)
        mine = loop.patient.care_team.filter(user=request.user).exists()
        return Response(show.recommendation(loop, now=timezone.now()) if mine else {}, status=200 if mine else 403)


class TodayOfAnyScope(PhoneDoor):
    """A phone's door at which the scope of a token is not asked for."""

    scope = "staff"

    def get(self, _request: Request) -> Response:
        """Today, for the wrong tokens."""
        return Response({"patient": str(self.record().pk)})


class AnybodysHistory(PhoneDoor):
    """A phone's door that believes whose record it is told."""

    @past_the_net()
    def get(self, _request: Request) -> Response:
        """The name of whoever is asked for."""
        found = Patient.objects.filter(pk=self.asked.get("patient")).first()
        return Response({"name": found.shown_name if found else ""})


class AnybodysConsents(PhoneDoor):
    """A phone's door that writes into the record it is told."""

    @past_the_net()
    def post(self, _request: Request) -> Response:
        """Withdraw consent to research for whoever is asked for, past the check."""
        patient = Patient.objects.filter(pk=self.asked.get("patient")).first()
        if patient is not None:
            by = acting_person(patient.account, now=self.now)
            give_consent(patient.pk, "research", given=False, by=by, now=self.now)
        return Response({})


urlpatterns = [
    path("api/v1/me/history", AnybodysHistory.as_view(), name="api-me-history"),
    path("api/v1/me/consents", AnybodysConsents.as_view(), name="api-me-consents"),
    path("planted/<uuid:patient_id>/", patient_of_any_team, name="planted"),
    path("patients/<uuid:patient_id>/", patient_of_any_team, name="patient"),
    path("alerts/", alerts_for_everybody, name="alerts"),
    path("audit/search/", search_for_all_staff, name="record-search"),
    path("api/v1/recommendations/<uuid:loop_id>", AnybodysRecommendation.as_view(), name="api-recommendation"),
    path("api/v1/me/today", TodayOfAnyScope.as_view(), name="api-me-today"),
    *of_the_house,
]
