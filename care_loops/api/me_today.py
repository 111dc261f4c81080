"""The patient's own page of a day: who I am here, today, any other day, and the days before."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.selectors.notices import attended

from ..presenters import phone as show
from ..presenters import visits
from ..selectors import phone
from ..selectors.access import patients_open_to
from ..selectors.visits import is_overdue, reminders_shown, standing_plan
from ..serializers.phone_in import DayQuery, HistoryQuery
from ..serializers.phone_out import HistoryOut, MeOut, TodayOut
from ..services.respond import holds_now
from .base import PhoneDoor
from .schema import REFUSALS


class Me(PhoneDoor):
    """Who is signed in, and whose records they may open."""

    @extend_schema(operation_id="me", responses={200: MeOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """Name, roles, and the records of this person and of those they care for."""
        mine = patients_open_to(self.acting, now=self.now)
        rows = sorted(mine, key=lambda row: (row.family_name.casefold(), row.given_name.casefold(), str(row.pk)))
        records = [
            {"id": str(row.pk), "name": row.shown_name, "own": row.account_id == request.user.pk, "zone": row.zone}
            for row in rows
        ]
        roles = sorted(role.value for role in self.acting.standing.roles)
        return Response({"name": self.acting.standing.name, "roles": roles, "records": records})


class Today(PhoneDoor):
    """The digest of today, or of the day named."""

    query = DayQuery

    @extend_schema(operation_id="me_today", parameters=[DayQuery], responses={200: TodayOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """What was measured, taken and felt; what to do now; what waits for an answer."""
        patient = self.read_record("today")
        day = self.asked.get("date") or phone.today_of(patient, now=self.now)
        alerts = phone.open_alerts_of(patient)
        loops = list(phone.visible_loops(patient)[:20])
        holds = holds_now(patient, loops, now=self.now)
        plan = standing_plan(patient, now=self.now)
        proposals = [show.proposal(loop, holds, self.now) for loop in loops]
        digest: dict[str, Any] = {
            "patient": {"id": str(patient.pk), "name": patient.shown_name, "zone": patient.zone},
            "what_to_do_now": show.what_to_do_now(alerts),
            "alerts": [show.alert(alert) for alert in alerts],
            "day": show.day_digest(phone.day_of(patient, day)),
            "medicines": show.medicines(phone.medicines_now(patient, now=self.now), phone.awaiting_first_dose(patient)),
            "waiting_for_you": [one for one in proposals if one["waits_for_you"]],
            "next_visit": visits.next_visit(plan, overdue=plan is not None and is_overdue(plan, now=self.now)),
            "reminders": visits.reminders(reminders_shown(patient, now=self.now)),
            "how_to_get_a_person": show.PERSON,
            "unattended": None if attended(now=self.now) else show.UNATTENDED,
            "at": self.now.astimezone(ZoneInfo(patient.zone)).isoformat(),
        }
        return Response(digest)


class History(PhoneDoor):
    """The days before, newest first."""

    query = HistoryQuery

    @extend_schema(operation_id="me_history", parameters=[HistoryQuery], responses={200: HistoryOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """A digest for each day that has data, and from where to go on."""
        patient = self.read_record("history")
        after_today = phone.today_of(patient, now=self.now).toordinal() + 1
        before = self.asked.get("before") or datetime.fromordinal(after_today).date()
        days = phone.days_with_data(patient, before=before, limit=self.asked.get("days", 14))
        digests = [show.day_digest(phone.day_of(patient, day)) for day in days]
        return Response({"days": digests, "next_before": days[-1].isoformat() if days else None})
