"""Doors that forgot every filter: they count all rows of all tables of patients, whoever asks."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from care_loops.row_policies import SEEN_BY as OF_LOOPS
from config.urls import urlpatterns as of_the_house
from edge_wearables.row_policies import SEEN_BY as OF_WEARABLES
from governance.api.bearer import BearerToken

TABLES = {**OF_LOOPS, **OF_WEARABLES}


def counted() -> dict[str, int]:
    """How many rows of each table this connection is shown, by plain SQL."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM {table}")
            found[table] = cursor.fetchone()[0]
    return found


def forgotten(_request: HttpRequest) -> JsonResponse:
    """A page without any check."""
    return JsonResponse(counted())


class Forgotten(APIView):
    """A door of the API that asks who it is, and then does not use it."""

    authentication_classes = [BearerToken]
    permission_classes = []

    def get(self, _request: Request) -> Response:
        """Everything."""
        return Response(counted())


urlpatterns = [path("forgotten/", forgotten), path("api/v1/forgotten", Forgotten.as_view()), *of_the_house]
