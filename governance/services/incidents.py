"""Incidents: reported here, assessed as a class, reported to an authority, closed (MDR Art. 87; 21 CFR 803).

Rules
 * Whoever works here reports one; who answers for compliance says which class it is, and what was reported to whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..domain import BadInput, NotFound, Permission, Relation
from ..findings import SUBJECTS
from ..incidents import IncidentClass, IncidentState, check_incident_move
from ..models import Finding, Incident, IncidentEvent
from ..permissions import check
from .acting import Acting

_SITE = frozenset({Relation.SITE})
OBJECT = "incident"


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened: about what, over which time, when somebody here became aware, and as which class it is seen."""

    title: str
    subject: str
    name: str
    happened_from: datetime
    happened_until: datetime
    aware_at: datetime
    of: IncidentClass
    said: str = ""
    finding_id: UUID | None = None


def report_incident(what: Happened, *, by: Acting, now: datetime) -> Incident:
    """Record that it happened. The clocks run from when somebody became aware, not from now."""
    acted = by.under(check(Permission.REPORT_INCIDENT, by.standing, _SITE))
    _check(what, now)
    finding = Finding.objects.filter(pk=what.finding_id).first() if what.finding_id else None
    if what.finding_id and finding is None:
        raise NotFound("There is no such finding.")
    with transaction.atomic():
        row = Incident(
            id=uuid4(),
            title=what.title.strip(),
            subject=what.subject,
            name=what.name,
            happened_from=what.happened_from,
            happened_until=what.happened_until,
            aware_at=what.aware_at,
            finding=finding,
            reported_by=by.person(),
        )
        said = {"title": row.title, "subject": row.subject, "name": row.name, "class": what.of.value}
        said |= {"from": what.happened_from.isoformat(), "until": what.happened_until.isoformat()}
        said |= {"aware_at": what.aware_at.isoformat()}
        row.entry = _enter("incident.reported_here", row.pk, said, by=acted, now=now)
        row.save(force_insert=True)
        _event(row, 1, IncidentState.OPEN, what.of, {"said": what.said}, entry=row.entry, by=acted, now=now)
        return row


def _check(what: Happened, now: datetime) -> None:
    if not what.title.strip():
        raise BadInput("Say in a line what happened.", field="title")
    if what.subject not in SUBJECTS:
        raise BadInput("Choose what it is about.", field="subject", known=list(SUBJECTS))
    if not what.happened_from <= what.happened_until <= now or not what.happened_from <= what.aware_at <= now:
        raise BadInput(
            "It began before it ended and before somebody knew, and none of it lies ahead.", field="aware_at"
        )


def move_incident(
    incident_id: UUID,
    state: IncidentState,
    *,
    of: IncidentClass,
    authority: str = "",
    reference: str = "",
    said: str = "",
    by: Acting,
    now: datetime,
) -> IncidentEvent:
    """Assess as a class, record a report to an authority under its number, or close."""
    acted = by.under(check(Permission.WORK_INCIDENT, by.standing, _SITE))
    if state is IncidentState.REPORTED and not (authority.strip() and reference.strip()):
        raise BadInput("Say which authority was told, and its reference.", field="authority")
    if not said.strip():
        raise BadInput("Say why.", field="said")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"incident:{incident_id}"])
        row = Incident.objects.filter(pk=incident_id).first()
        if row is None:
            raise NotFound("There is no such incident.")
        last = row.events.order_by("-seq")[:1].get()
        check_incident_move(IncidentState(last.state), state, of=of)
        more = {"authority": authority.strip(), "reference": reference.strip(), "said": said.strip()}
        kind = f"incident.{state.value}"
        entry = _enter(kind, row.pk, {"class": of.value, **more}, by=acted, now=now)
        return _event(row, last.seq + 1, state, of, more, entry=entry, by=acted, now=now)


def _event(
    row: Incident,
    seq: int,
    state: IncidentState,
    of: IncidentClass,
    more: dict[str, str],
    *,
    entry: UUID,
    by: Acting,
    now: datetime,
) -> IncidentEvent:
    return IncidentEvent.objects.create(
        incident=row, seq=seq, state=state.value, of=of.value, at=now, by=by.person(), entry=entry, **more
    )


def _enter(kind: str, incident_id: UUID, said: dict[str, Any], *, by: Acting, now: datetime) -> UUID:
    key = str(incident_id)
    event = Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=ObjectRef(OBJECT, key, next_version(OBJECT, key)),
        purpose=Purpose.AUDIT,
        payload=said,
    )
    return append(event).entry_id
