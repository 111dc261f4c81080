"""An open alert in words: what was found, when, what it asks for and what it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ..domain.alerts import Ask
from ..models import Alert, AlertLimits
from ..selectors.alert_evidence import AlertEvidence
from . import times, words
from .changes import pressure
from .limits import spoke_by


@dataclass(frozen=True, slots=True)
class AlertShown:
    """An alert as a card shows it. `look` names its style, `stops` what it holds back."""

    alert_id: UUID
    look: str
    severity: str
    name: str
    found: str
    measured: str
    clock: str
    since: str
    times: str
    unverified: bool
    locks: bool
    lock: str
    stops: tuple[str, ...]
    asks: tuple[str, ...]
    rules: str
    limits: tuple[str, ...]
    acknowledged: str
    escalates: str


@dataclass(frozen=True, slots=True)
class EndedShown:
    """An alert that has ended: what it was, when it was raised, and how, when and by whom it was closed."""

    severity: str
    look: str
    what: str
    raised: str
    how: str
    said: str
    by: str
    ended: str


def ended_shown(alert: Alert, evidence: AlertEvidence | None, *, zone: str, now: datetime) -> EndedShown:
    """A closed alert in the patient's own time; ask for its events first."""
    closing = next((event for event in alert.events.all() if event.kind == "disposed"), None)
    if alert.disposed_at is None or alert.disposed_by is None or closing is None:
        raise ValueError("an open alert has not ended")
    found = evidence_words(evidence) or words.why_called(alert.rules)
    name = words.alert_kind(alert.kind)
    return EndedShown(
        severity=words.severity(alert.severity),
        look=alert.severity,
        what=f"{name}: {found}" if found else name,
        raised=times.clock(alert.raised_at, zone),
        how=words.reason(closing.code),
        said=closing.text,
        by=alert.disposed_by.printed_name,
        ended=f"{times.clock(alert.disposed_at, zone)} ({times.ago(alert.disposed_at, now=now)})",
    )


def alert_shown(
    alert: Alert, evidence: AlertEvidence | None, *, zone: str, now: datetime, own: Sequence[AlertLimits] = ()
) -> AlertShown:
    """An open alert in the patient's own time. `own`: every version of the patient's own alert limits."""
    at, acknowledged = _dated(alert, evidence), ""
    if alert.acknowledged_at is not None and alert.acknowledged_by is not None:
        acknowledged = f"{alert.acknowledged_by.printed_name}, {times.clock(alert.acknowledged_at, zone)}"
    return AlertShown(
        alert_id=alert.pk,
        look=alert.severity,
        severity=words.severity(alert.severity),
        name=words.alert_kind(alert.kind),
        found=evidence_words(evidence) or words.why_called(alert.rules),
        measured=f"{timed(evidence)} {times.clock(at, zone)} ({times.ago(at, now=now)})",
        clock=f"{timed(evidence)} {times.ago(at, now=now)}",
        since=times.ago(alert.raised_at, now=now),
        times=times.plural(alert.occurrences, "finding"),
        unverified=alert.unverified,
        locks=alert.locks,
        lock=_lock(alert, evidence),
        stops=tuple(words.scope(bar) for bar in alert.bars),
        asks=tuple(words.ask(ask) for ask in sorted(alert.asks, key=_ask_order)),
        rules=", ".join(alert.rules),
        limits=spoke_by(alert, own),
        acknowledged=acknowledged,
        escalates=_escalates(alert, now=now),
    )


def _dated(alert: Alert, evidence: AlertEvidence | None) -> datetime:
    return evidence.received_at if evidence and evidence.received_at else alert.measured_at


def timed(evidence: AlertEvidence | None) -> str:
    """What the time of an alert is: of measuring, or, where the device's clock cannot be believed, of receipt."""
    return "clock uncertain, received" if evidence is not None and evidence.received_at is not None else "measured"


def _lock(alert: Alert, evidence: AlertEvidence | None) -> str:
    """Why an alert holds the danger lock, or why it does not though it stops something."""
    if alert.locks:
        return "Danger lock: it ends when a clinician closes this alert, never by time."
    if not alert.bars:
        return ""
    if evidence is not None and evidence.doubt is not None:
        why = words.doubt(evidence.doubt)
    elif alert.same_day and not alert.pages:
        why = "it was measured more than a day before it reached us, or its rule asks for a clinician's look today"
    else:
        why = "its rule asks for a clinician's look and sets no lock"
    return f"No danger lock: {why}. Closing it does not free what a reading of the last 14 days stops."


def _escalates(alert: Alert, *, now: datetime) -> str:
    """Where the clock stands: who is next, or that nobody is left to page; empty where none runs."""
    if alert.escalates_at is not None:
        return times.escalation(alert.escalates_at, now=now)
    answered = alert.acknowledged_at is not None or alert.disposed_at is not None
    return times.unanswered(alert.raised_at, now=now) if alert.level and not answered else ""


def nobody_answers(alert: Alert, *, now: datetime) -> bool:
    """Whether an answer is overdue: the clock ran out, or ran to its end."""
    if alert.escalates_at is not None:
        return alert.escalates_at <= now
    return bool(alert.level) and alert.acknowledged_at is None and alert.disposed_at is None


def evidence_words(evidence: AlertEvidence | None) -> str:
    """What an alert rests on: `198/121 mmHg`, `potassium 6.1 mmol/L`, or nothing known."""
    if evidence is None:
        return ""
    if evidence.lab is not None and evidence.value is not None:
        name, unit = words.lab(evidence.lab)
        return f"{name} {format(evidence.value.normalize(), 'f')} {unit}"
    if evidence.symptom is not None:
        return words.symptom(evidence.symptom)
    if evidence.systolic is None and evidence.diastolic is None and evidence.pulse is not None:
        return f"heart rate {pressure(evidence.pulse)} a minute"
    both = f"{pressure(evidence.systolic) or '–'}/{pressure(evidence.diastolic) or '–'} mmHg"
    return f"{both}, pulse {pressure(evidence.pulse)}" if evidence.pulse is not None else both


def _ask_order(code: str) -> int:
    order = [ask.value for ask in Ask]
    return order.index(code) if code in order else -1
