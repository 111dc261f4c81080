"""Findings: raised, seen again, owned, corrected, checked and closed, each step with its entry (REGULATORY 2.3).

Rules
 * The same cause on the same thing within the period adds an occurrence; a closed finding that recurs is reopened.
 * A critical one suspends what it is about in the same transaction, and again when it recurs.
 * Checking and closing are signed, by another person than who owns it and than who recorded the action.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from audit.domain import Esign, Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..domain import BadInput, NotAllowed, NotFound, Permission, Relation
from ..findings import SUBJECTS, FindingState, Severity, check_finding_move, finding_rules, gravest, suspends
from ..models import Finding, FindingEvent, FindingOccurrence
from ..permissions import check
from ..selectors import person_here
from ..suspension import Cause, Scope
from .acting import Acting
from .signatures import sign
from .signing import Act
from .suspensions import suspend

_SITE = frozenset({Relation.SITE})
OBJECT = "finding"
NOWHERE = "There is no such finding."


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody found: the cause by its code, about what, how grave, and what shows it."""

    cause: str
    subject: str
    name: str
    severity: Severity
    title: str
    evidence_kind: str
    evidence: str
    text: str = ""


def raise_finding(seen: Seen, *, by: Acting, now: datetime) -> Finding:
    """Raise a finding, or add this occurrence to the one it recurs in. A person needs the permission; a job is ours."""
    acted = by.under(check(Permission.RAISE_FINDING, by.standing, _SITE)) if by.user is not None else by
    if by.user is None and by.kind != "service":
        raise NotAllowed("A model or a device raises no findings.", missing="person")
    _check_seen(seen)
    with transaction.atomic():
        _alone(f"finding:{seen.cause}:{seen.subject}:{seen.name}")
        known = _recurs_in(seen, now=now)
        if known is None:
            finding = _new(seen, by=acted, now=now)
        else:
            finding = known
            _again(finding, seen, by=acted, now=now)
        _suspend(finding, by=acted, now=now)
        return finding


def _check_seen(seen: Seen) -> None:
    for field in ("cause", "title", "evidence_kind", "evidence"):
        if not getattr(seen, field).strip():
            raise BadInput("A finding says its cause, its title, and what shows it.", field=field)
    if seen.subject not in SUBJECTS:
        raise BadInput("Choose what it is about.", field="subject", known=list(SUBJECTS))
    if (seen.subject == Scope.EVERYTHING and seen.name) or (
        seen.subject in set(Scope) - {Scope.EVERYTHING} and not seen.name
    ):
        raise BadInput("Name the one thing it is about; everything has no name.", field="name")


def _recurs_in(seen: Seen, *, now: datetime) -> Finding | None:
    """The newest finding of the same cause on the same thing that was seen within the period, or is not closed."""
    same = Finding.objects.filter(cause=seen.cause, subject=seen.subject, name=seen.name).order_by("-raised_at", "-pk")
    for finding in same:
        newest = finding.occurrences.order_by("-seen_at").values_list("seen_at", flat=True).first()
        lately = newest is not None and now - newest <= finding_rules().cluster
        if lately or last_event(finding).state != FindingState.CLOSED.value:
            return finding
    return None


def _new(seen: Seen, *, by: Acting, now: datetime) -> Finding:
    finding = Finding(id=uuid4(), cause=seen.cause, subject=seen.subject, name=seen.name, title=seen.title.strip())
    finding.raised_at, finding.raised_by = now, by.user
    finding.entry = _enter("finding.raised", finding, _said(seen), by=by, now=now)
    finding.save(force_insert=True)
    _occurred(finding, seen, entry=finding.entry, by=by, now=now)
    _event(finding, FindingState.OPEN, None, entry=finding.entry, by=by, now=now, severity=seen.severity)
    return finding


def _again(finding: Finding, seen: Seen, *, by: Acting, now: datetime) -> None:
    """One occurrence more; the same evidence a second time is the same."""
    same = {"evidence_kind": seen.evidence_kind, "evidence": seen.evidence, "severity": seen.severity.value}
    if finding.occurrences.filter(**same).exists():
        return
    last = last_event(finding)
    closed = last.state == FindingState.CLOSED.value
    entry = _enter("finding.reopened" if closed else "finding.seen_again", finding, _said(seen), by=by, now=now)
    _occurred(finding, seen, entry=entry, by=by, now=now)
    if closed:
        _event(finding, FindingState.REOPENED, last, entry=entry, by=by, now=now, severity=severity_of(finding))


def _occurred(finding: Finding, seen: Seen, *, entry: UUID, by: Acting, now: datetime) -> None:
    FindingOccurrence.objects.create(
        finding=finding,
        severity=seen.severity.value,
        evidence_kind=seen.evidence_kind,
        evidence=seen.evidence,
        text=seen.text.strip(),
        seen_at=now,
        seen_by=by.user,
        entry=entry,
    )


def _suspend(finding: Finding, *, by: Acting, now: datetime) -> None:
    state = FindingState(last_event(finding).state)
    ref = suspends(finding.subject, finding.name, severity=severity_of(finding), state=state)
    if ref is not None:
        suspend(ref, cause=Cause.FINDING, cause_ref=str(finding.pk), reason=finding.title, by=by, now=now)


# --- the way to closed ------------------------------------------------------------------------------------------------


def own(finding_id: UUID, owner_id: UUID, *, due_at: datetime | None, by: Acting, now: datetime) -> FindingEvent:
    """Give a finding to somebody, who corrects it by `due_at`; None leaves what its gravity asks."""
    acted = by.under(check(Permission.WORK_FINDING, by.standing, _SITE))
    with transaction.atomic():
        finding, last, severity = _standing(finding_id)
        check_finding_move(FindingState(last.state), FindingState.OWNED, severity=severity)
        owner = person_here(owner_id)
        if due_at is not None and due_at <= now:
            raise BadInput("It is due later than now.", field="due_at")
        due = due_at or last.due_at
        said = {"owner": str(owner.pk), "due_at": due.isoformat()}
        entry = _enter("finding.owned", finding, said, by=acted, now=now)
        made = _next_event(last, FindingState.OWNED, entry=entry, by=acted, now=now)
        made.owner, made.due_at, made.action = owner, due, ""
        made.save(force_insert=True)
        return made


def record_action(finding_id: UUID, action: str, *, by: Acting, now: datetime) -> FindingEvent:
    """Say what was done against it. Its owner does."""
    acted = by.under(check(Permission.WORK_FINDING, by.standing, _SITE))
    if not action.strip():
        raise BadInput("Say what was done.", field="action")
    with transaction.atomic():
        finding, last, severity = _standing(finding_id)
        check_finding_move(FindingState(last.state), FindingState.ACTION_RECORDED, severity=severity)
        if last.owner_id != by.person().pk:
            raise NotAllowed("Its owner records what was done.", missing="owner")
        entry = _enter("finding.action_recorded", finding, {"action": action.strip()}, by=acted, now=now)
        made = _next_event(last, FindingState.ACTION_RECORDED, entry=entry, by=acted, now=now)
        made.action = action.strip()
        made.save(force_insert=True)
        return made


def hand_back(finding_id: UUID, said: str, *, by: Acting, now: datetime) -> FindingEvent:
    """The action does not do: back to its owner, with why."""
    acted = by.under(check(Permission.CLOSE_FINDING, by.standing, _SITE))
    if not said.strip():
        raise BadInput("Say what is missing.", field="said")
    with transaction.atomic():
        finding, last, severity = _standing(finding_id)
        check_finding_move(FindingState(last.state), FindingState.OWNED, severity=severity)
        entry = _enter("finding.owned", finding, {"handed_back": said.strip()}, by=acted, now=now)
        made = _next_event(last, FindingState.OWNED, entry=entry, by=acted, now=now)
        made.said = said.strip()
        made.save(force_insert=True)
        return made


def check_or_close(finding_id: UUID, state: FindingState, said: str, *, by: Acting, now: datetime) -> FindingEvent:
    """Check (a critical one) or close a finding, signed. Raises NotAllowed to its owner and to who acted on it."""
    acted = by.under(check(Permission.CLOSE_FINDING, by.standing, _SITE))
    if state not in (FindingState.CHECKED, FindingState.CLOSED) or not said.strip():
        raise BadInput("Say what you checked.", field="said")
    with transaction.atomic():
        finding, last, severity = _standing(finding_id)
        check_finding_move(FindingState(last.state), state, severity=severity)
        if by.person().pk in _involved(finding):
            raise NotAllowed("Another person closes it than who owns it, acted on it or checked it.", missing="another")
        kind = f"finding.{state.value}"
        content = {
            "finding": str(finding.pk),
            "title": finding.title,
            "severity": severity.value,
            "action": last.action,
            "said": said.strip(),
            "state": state.value,
        }
        thing = ObjectRef(OBJECT, str(finding.pk), next_version(OBJECT, str(finding.pk)))
        meaning = "closes this finding" if state is FindingState.CLOSED else "has checked what was done"
        signature, esign = sign(content, act=Act(kind, thing), meaning=meaning, by=acted, now=now)
        entry = _enter(kind, finding, content, by=acted, now=now, esign=esign)
        made = _next_event(last, state, entry=entry, by=acted, now=now)
        made.said, made.signature = said.strip(), signature
        made.save(force_insert=True)
        return made


def _involved(finding: Finding) -> set[UUID | None]:
    """Who owned it, recorded an action or checked it since it was last opened."""
    found: set[UUID | None] = set()
    for event in finding.events.order_by("-seq"):
        if event.state in (FindingState.OPEN.value, FindingState.REOPENED.value):
            break
        found.add(event.owner_id)
        if event.state in (FindingState.ACTION_RECORDED.value, FindingState.CHECKED.value):
            found.add(event.by_id)
    return found - {None}


def _standing(finding_id: UUID) -> tuple[Finding, FindingEvent, Severity]:
    _alone(f"finding:{finding_id}")
    finding = Finding.objects.filter(pk=finding_id).first()
    if finding is None:
        raise NotFound(NOWHERE)
    return finding, last_event(finding), severity_of(finding)


def last_event(finding: Finding) -> FindingEvent:
    """Where a finding stands."""
    return finding.events.order_by("-seq")[:1].get()


def severity_of(finding: Finding) -> Severity:
    """How grave it is: as its gravest occurrence."""
    return gravest(finding.occurrences.values_list("severity", flat=True))


def _event(
    finding: Finding,
    state: FindingState,
    last: FindingEvent | None,
    *,
    entry: UUID,
    by: Acting,
    now: datetime,
    severity: Severity,
) -> None:
    FindingEvent.objects.create(
        finding=finding,
        seq=last.seq + 1 if last else 1,
        state=state.value,
        owner=last.owner if last else None,
        due_at=now + finding_rules().due[severity],
        at=now,
        by=by.user,
        entry=entry,
    )


def _next_event(last: FindingEvent, state: FindingState, *, entry: UUID, by: Acting, now: datetime) -> FindingEvent:
    return FindingEvent(
        finding=last.finding,
        seq=last.seq + 1,
        state=state.value,
        owner=last.owner,
        due_at=last.due_at,
        action=last.action,
        at=now,
        by=by.user,
        entry=entry,
    )


def _said(seen: Seen) -> dict[str, Any]:
    return {name: str(getattr(seen, name)) for name in Seen.__slots__}


def _alone(key: str) -> None:
    with connection.cursor() as cursor:  # rows that only grow cannot be locked
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def _enter(
    kind: str, finding: Finding, said: Mapping[str, Any], *, by: Acting, now: datetime, esign: Esign | None = None
) -> UUID:
    key = str(finding.pk)
    event = Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=ObjectRef(OBJECT, key, next_version(OBJECT, key)),
        purpose=Purpose.AUDIT,
        esign=esign,
        payload=dict(said),
    )
    return append(event).entry_id
