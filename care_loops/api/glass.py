"""Break-glass for a clinician's tool: open a record, see what is open, end it. The same service, signature and alarm.

It is bound to the token (or session) in which it was opened: after a refresh it is opened anew, with a new signature.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.domain import Permission, Relation
from governance.permissions import check

from ..presenters.glass import opening_out
from ..selectors.glass import own_openings
from ..serializers.clinic_in import NothingIn
from ..serializers.glass import GlassIn, OpeningListOut, OpeningOut
from ..services.break_glass import break_glass, end_break_glass
from .base import Door
from .idempotency import once
from .reading import read
from .schema import KEY, KEY_OPTIONAL, REFUSALS, SIGNED
from .signing import read_signed


class Openings(Door):
    """What this person opened."""

    @extend_schema(operation_id="break_glass_openings", responses={200: OpeningListOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """The newest first."""
        check(Permission.BREAK_GLASS, self.acting.standing, frozenset({Relation.SITE}))
        rows = own_openings(self.acting)[:50]
        return Response({"openings": [opening_out(row, now=self.now) for row in rows]})


class Open(Door):
    """A record outside the care team."""

    @extend_schema(operation_id="break_glass", request=GlassIn, parameters=[KEY], responses={201: OpeningOut, **SIGNED})
    def post(self, request: Request, patient_id: UUID) -> HttpResponse:
        """Open it for reading, for a time; signed. An alarm goes out, and somebody else reviews it."""
        check(Permission.BREAK_GLASS, self.acting.standing, frozenset({Relation.SITE}))
        said = read_signed(self, GlassIn, request)

        def work() -> dict[str, Any]:
            opening = break_glass(
                patient_id, reason_code=said["reason_code"], text=said["text"], by=self.acting, now=self.now
            )
            return opening_out(opening, now=self.now)

        return once(self, request, work, status=201)


class End(Door):
    """The end of an opening."""

    @extend_schema(
        operation_id="end_break_glass",
        request=NothingIn,
        parameters=[KEY_OPTIONAL],
        responses={200: OpeningOut, **REFUSALS},
    )
    def post(self, request: Request, opening_id: UUID) -> HttpResponse:
        """By its owner, at once; what has ended stays ended."""
        check(Permission.BREAK_GLASS, self.acting.standing, frozenset({Relation.SITE}))
        read(NothingIn, request.data if self.sent else {}, now=self.now)

        def work() -> dict[str, Any]:
            return opening_out(end_break_glass(opening_id, by=self.acting, now=self.now), now=self.now)

        return once(self, request, work, key_needed=False)
