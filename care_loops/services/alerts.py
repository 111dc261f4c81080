"""Alerts: raised by rule, repeats joined, escalated on a clock, acknowledged and ended by people.

Rules
 * What a danger rule found becomes one open alert of its kind; a repeat joins it and can only make it graver (N4).
 * Severity, locks and bars of an open alert are never lowered by a later finding, only by a person's disposition.
 * A danger lock ends by a clinician's recorded disposition, never by time (CLINICAL 1.3).
 * Acknowledging stops the clock; it lifts nothing. It was for what was known then: what joins an acknowledged alert
   wakes people again and starts the clock anew. Who acknowledged the earlier ones stays in the alert's events.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Purpose
from audit.services import enqueue
from governance.domain import BadInput, NotFound, Permission
from governance.services import Acting

from ..danger import escalation
from ..domain.alerts import AlertSeverity, Finding
from ..domain.loops import LoopState
from ..models import Alert, AlertEvent, Loop
from ..pathways.hypertension.tables_danger import danger_table
from ..policies import NotNow
from ..selectors.access import NOBODY, patient_for, role_for
from ..selectors.record import record_ids, whole
from .events import note

DISPOSITIONS = (
    "treated",
    "sent_to_emergency",
    "repeat_was_normal",
    "medication_reviewed",
    "false_reading",
    "patient_reached_and_well",
    "referred",
)

#: The columns of an alert that move; its history is in its events, and the application may change nothing else of it.
HEAD = (
    *("severity", "pages", "locks", "bars", "same_day", "unverified", "asks", "rules", "measured_at", "occurrences"),
    *("level", "escalates_at", "acknowledged_by", "acknowledged_at", "disposed_by", "disposed_at"),
)


def raise_findings(
    patient_id: UUID,
    found: Iterable[Finding],
    *,
    measured_at: datetime,
    received_at: datetime,
    by: Acting,
    now: datetime,
    of_event: bool = True,
) -> tuple[UUID, ...]:
    """Turn findings into alerts, in the caller's transaction; historic ones raise nothing. Returns those touched.

    `of_event`: something happened (a reading, a result, a symptom). What is known of the person and merely asked again
    is none, unless another rule speaks now.
    """
    touched = []
    for finding in found:
        if finding.historic:
            continue
        alert = (
            Alert.objects.select_for_update()
            .filter(patient_id=patient_id, kind=finding.kind.value, disposed_at__isnull=True)
            .first()
        )
        if alert is None:
            alert = _raise(patient_id, finding, measured_at=measured_at, received_at=received_at, by=by, now=now)
        else:
            _join(alert, finding, measured_at=measured_at, by=by, now=now, of_event=of_event)
        touched.append(alert.pk)
    return tuple(touched)


def _raise(
    patient_id: UUID, finding: Finding, *, measured_at: datetime, received_at: datetime, by: Acting, now: datetime
) -> Alert:
    alert = Alert(
        id=uuid4(),
        patient_id=patient_id,
        kind=finding.kind.value,
        severity=finding.severity.value,
        pages=finding.page,
        locks=finding.lock,
        bars=sorted(scope.value for scope in finding.bars),
        same_day=finding.same_day_item,
        unverified=finding.unverified,
        asks=[ask.value for ask in finding.asks],
        rules=list(finding.rules),
        measured_at=measured_at,
        received_at=received_at,
        raised_at=now,
        escalates_at=_next_escalation(finding.severity, level=0, since=now) if finding.page else None,
    )
    entry = note(
        "alert.raised",
        of=("alert", alert.pk, 1),
        by=by,
        now=now,
        patient_id=patient_id,
        reason=finding.kind.value,
        payload=_payload(finding),
        purpose=Purpose.SAFETY,
    )
    alert.entry = entry.entry_id
    alert.save(force_insert=True)
    _add_event(alert, "raised", by=by, now=now, entry=entry.entry_id, evidence=_first(finding))
    if alert.pages:
        enqueue("alert.page", {"alert": str(alert.pk), "level": 0})
    return alert


def _join(
    alert: Alert, finding: Finding, *, measured_at: datetime, by: Acting, now: datetime, of_event: bool = True
) -> None:
    """A repeat: the open alert takes what is graver of the two."""
    graver = finding.severity.rank > AlertSeverity(alert.severity).rank
    unseen = alert.acknowledged_at is not None and (of_event or not set(finding.rules) <= set(alert.rules))
    pages_now = finding.page and (graver or not alert.pages or unseen)
    alert.severity = finding.severity.value if graver else alert.severity
    alert.pages = alert.pages or finding.page
    alert.locks = alert.locks or finding.lock
    alert.bars = sorted({*alert.bars, *(scope.value for scope in finding.bars)})
    alert.same_day = alert.same_day or finding.same_day_item
    alert.unverified = alert.unverified and finding.unverified
    alert.asks = list(dict.fromkeys([*alert.asks, *(ask.value for ask in finding.asks)]))
    alert.rules = list(dict.fromkeys([*alert.rules, *finding.rules]))
    alert.measured_at = max(alert.measured_at, measured_at)
    alert.occurrences += 1
    if (
        pages_now
    ):  # a graver turn, or what nobody has taken on, wakes people again, whoever acknowledged the earlier one
        alert.level, alert.acknowledged_at, alert.acknowledged_by = 0, None, None
        alert.escalates_at = _next_escalation(AlertSeverity(alert.severity), level=0, since=now)
    entry = note(
        "alert.coalesced",
        of=("alert", alert.pk, alert.events.count() + 1),
        by=by,
        now=now,
        patient_id=alert.patient_id,
        reason=finding.kind.value,
        payload=_payload(finding),
        purpose=Purpose.SAFETY,
    )
    alert.save(update_fields=HEAD)
    kind = "upgraded" if graver else "coalesced"
    _add_event(alert, kind, by=by, now=now, entry=entry.entry_id, evidence=_first(finding))
    if pages_now:
        enqueue("alert.page", {"alert": str(alert.pk), "level": 0})


def acknowledge_alert(alert_id: UUID, *, by: Acting, now: datetime) -> Alert:
    """A person has seen the alert and takes it on. The clock stops; locks and bars stay."""
    with transaction.atomic():
        alert = _locked(alert_id, by, Permission.ACKNOWLEDGE_ALERT, now=now)
        if alert.disposed_at is not None:
            raise NotNow("This alert has been closed.", state="disposed")
        if alert.acknowledged_at is not None:
            return alert
        acted = by.under(role_for(by, alert.patient, Permission.ACKNOWLEDGE_ALERT, now=now))
        entry = _note_people("alert.acknowledged", alert, acted, now=now)
        alert.acknowledged_by, alert.acknowledged_at, alert.escalates_at = by.person(), now, None
        alert.save(update_fields=HEAD)
        _add_event(alert, "acknowledged", by=acted, now=now, entry=entry)
        return alert


def dispose_alert(alert_id: UUID, *, code: str, text: str, by: Acting, now: datetime) -> Alert:
    """A clinician says how it ended. This alone lifts a danger lock."""
    if code not in DISPOSITIONS:
        raise BadInput("Choose how this ended.", field="code", known=list(DISPOSITIONS))
    with transaction.atomic():
        alert = _locked(alert_id, by, Permission.DISPOSE_ALERT, now=now)
        if alert.disposed_at is not None:
            raise NotNow("This alert has already been closed.", state="disposed")
        acted = by.under(role_for(by, alert.patient, Permission.DISPOSE_ALERT, now=now))
        entry = _note_people("alert.disposed", alert, acted, now=now, reason=code, text=text)
        alert.disposed_by, alert.disposed_at, alert.escalates_at = by.person(), now, None
        alert.save(update_fields=HEAD)
        _add_event(alert, "disposed", by=acted, now=now, entry=entry, code=code, text=text)
        if alert.locks:
            note(
                "danger_lock.lifted",
                of=("danger_lock", alert.pk, 1),
                by=acted,
                now=now,
                patient_id=alert.patient_id,
                reason=code,
                purpose=Purpose.SAFETY,
            )
        _let_through(alert)
        return alert


def _let_through(alert: Alert) -> None:
    """What was decided and held back by this alert may be delivered now, if no other stands in its way."""
    decided = [LoopState.APPROVED.value, LoopState.MODIFIED.value]
    person = record_ids(whole(alert.patient))
    for loop_id in Loop.objects.filter(patient_id__in=person, state__in=decided).values_list("pk", flat=True):
        enqueue("loop.deliver", {"loop": str(loop_id)})


def escalate_alerts(*, by: Acting, now: datetime) -> int:
    """Move every unacknowledged alert whose time has come to the next rung of its ladder. Returns how many moved."""
    due = Alert.objects.filter(disposed_at__isnull=True, acknowledged_at__isnull=True, escalates_at__lte=now)
    moved = 0
    for alert_id in list(due.values_list("pk", flat=True)):
        with transaction.atomic():
            alert = Alert.objects.select_for_update(skip_locked=True).filter(pk=alert_id, escalates_at__lte=now).first()
            if alert is None or alert.acknowledged_at is not None or alert.disposed_at is not None:
                continue
            severity = AlertSeverity(alert.severity)
            began = _clock_began(alert, severity)
            alert.level += 1
            alert.escalates_at = _next_escalation(severity, level=alert.level, since=began)
            entry = _note_people("alert.escalated", alert, by, now=now)
            alert.save(update_fields=HEAD)
            _add_event(alert, "escalated", by=by, now=now, entry=entry, code=f"level_{alert.level}")
            enqueue("alert.page", {"alert": str(alert.pk), "level": alert.level})
            moved += 1
    return moved


def _next_escalation(severity: AlertSeverity, *, level: int, since: datetime) -> datetime | None:
    """When an alert at `level` reaches the next person, by the ladder of its severity; None at its end."""
    ladder = escalation(severity, danger_table())
    later = [step for step in ladder if step.after_minutes > 0]
    return since + timedelta(minutes=later[level].after_minutes) if level < len(later) else None


def _clock_began(alert: Alert, severity: AlertSeverity) -> datetime:
    """When the ladder that runs now began: a graver turn starts it anew."""
    at_level_since_zero = _next_escalation(severity, level=alert.level, since=alert.raised_at)
    if alert.escalates_at is None or at_level_since_zero is None:
        return alert.raised_at
    return alert.raised_at + (alert.escalates_at - at_level_since_zero)


def _locked(alert_id: UUID, by: Acting, permission: Permission, *, now: datetime) -> Alert:
    alert = Alert.objects.select_for_update(of=("self",)).select_related("patient").filter(pk=alert_id).first()
    if alert is None:
        raise NotFound(NOBODY)
    patient_for(by, alert.patient_id, permission, now=now)
    return alert


def _note_people(
    kind: str, alert: Alert, by: Acting, *, now: datetime, reason: str | None = None, text: str = ""
) -> UUID:
    return note(
        kind,
        of=("alert", alert.pk, alert.events.count() + 1),
        by=by,
        now=now,
        patient_id=alert.patient_id,
        reason=reason or alert.kind,
        payload={"text": text, "level": alert.level},
        purpose=Purpose.SAFETY,
    ).entry_id


def _add_event(
    alert: Alert,
    kind: str,
    *,
    by: Acting,
    now: datetime,
    entry: UUID,
    evidence: str = "",
    code: str = "",
    text: str = "",
) -> None:
    AlertEvent.objects.create(
        alert=alert,
        kind=kind,
        at=now,
        actor_kind=by.kind,
        actor_id=by.id,
        evidence=evidence,
        code=code,
        text=text,
        entry=entry,
    )


def _payload(finding: Finding) -> dict[str, object]:
    return {
        "severity": finding.severity.value,
        "rules": list(finding.rules),
        "asks": [ask.value for ask in finding.asks],
        "evidence": list(finding.evidence),
        "locks": finding.lock,
        "bars": sorted(scope.value for scope in finding.bars),
        "unverified": finding.unverified,
        "limits": list(finding.limits),
    }


def _first(finding: Finding) -> str:
    return finding.evidence[0] if finding.evidence else ""
