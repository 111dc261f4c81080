"""Whom an alert reaches outside the pages, step by step of its ladder (CLINICAL 1.3, DBT-03).

Rules
 * The first step is the clinician responsible for the patient, the later ones are the rota's rungs, as the table of
   escalation names them. Everybody there is told over every address of theirs.
 * A step on which nobody stands, or nobody can be reached, is said by name in the record, and every clinician of the
   care team is told instead. The alert stays on their worklists whatever happens here.
 * What is sent names no patient: that something waits, and how grave it is.
 * An alert that somebody has taken on, or that has ended, pages nobody any more.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from audit.domain import Purpose
from governance.channels import NoticeKind
from governance.cover import Rung
from governance.selectors.notices import on_call_now
from governance.services import Acting
from governance.services.notices import plan

from ..danger import escalation
from ..domain.alerts import AlertSeverity
from ..models import Alert, CareTeamMember
from ..pathways.hypertension.tables_danger import danger_table
from .events import note


def page(alert_id: UUID, level: int, *, by: Acting, now: datetime) -> int:
    """Plan the messages of one step of an alert's ladder, in the caller's transaction. Returns how many."""
    alert = Alert.objects.select_related("patient").filter(pk=alert_id).first()
    if alert is None or alert.acknowledged_at is not None or alert.disposed_at is not None:
        return 0
    step = _who(alert, level)
    users = _people(alert, step, now=now)
    about = f"{alert.pk}/{alert.occurrences}"  # a graver turn wakes people again
    told = plan(NoticeKind.ALERT, about, users, grave=alert.severity, level=level, by=by, now=now)
    if told:
        return told
    note(
        "notice.nobody",
        of=("alert_step", f"{about}:{level}", 1),
        by=by,
        now=now,
        patient_id=alert.patient_id,
        reason="nobody_on_call" if not users else "nobody_reachable",
        payload={"kind": NoticeKind.ALERT.value, "about": about, "level": level, "step": step},
        purpose=Purpose.SAFETY,
    )
    team = [user_id for user_id, _ in _members(alert)]
    return plan(NoticeKind.UNCOVERED, about, team, grave=alert.severity, level=level, by=by, now=now)


def _who(alert: Alert, level: int) -> str:
    """The role that the table names for this step; past its end the last one."""
    ladder = escalation(AlertSeverity(alert.severity), danger_table())
    return ladder[min(level, len(ladder) - 1)].role if ladder else "responsible_clinician"


def _people(alert: Alert, role: str, *, now: datetime) -> list[UUID]:
    if role in set(Rung):
        return list(on_call_now(Rung(role), now=now))
    return [user_id for user_id, responsible in _members(alert) if responsible]


def _members(alert: Alert) -> list[tuple[UUID, bool]]:
    rows = CareTeamMember.objects.filter(patient_id=alert.patient_id, until__isnull=True, user__is_active=True)
    return [(user_id, responsible) for user_id, responsible in rows.values_list("user_id", "responsible")]
