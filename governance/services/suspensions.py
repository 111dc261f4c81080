"""Suspending, the kill switch, and their end (REGULATORY 2.3 Art. 14(4)(e), FAL-03, PEERS 4 leap 7).

Rules
 * It takes effect with its commit: whoever asks afterwards, on whichever worker, finds it.
 * The switch is thrown by a person, at once, without a signature: stopping costs nothing. A finding or a rule of this
   server may suspend too; a model or a device never does, and none of them ends anything.
 * Ending is signed, by somebody who did not begin it and may. A thrown switch is ended by two such people with
   different roles: one asks, signed, and another one ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from audit.domain import Esign, Event, Job, ObjectRef, Person, Purpose
from audit.selectors import next_version
from audit.services import append

from ..domain import BadInput, NotAllowed, NotFound, Permission, Refusal, Relation
from ..models import Suspension, SuspensionEnd, SuspensionEndAsked
from ..permissions import check
from ..selectors.suspensions import suspensions_of
from ..suspension import Cause, Ref
from .acting import Acting
from .signatures import sign
from .signing import Act

_SITE = frozenset({Relation.SITE})
OBJECT = "suspension"
NOWHERE = "There is no such suspension, or it has ended."


class SecondNeeded(Refusal):
    """Another person has to ask for this end first, or somebody with another role has to end it."""

    code = "second_person_needed"


def throw_switch(ref: Ref, *, reason: str, by: Acting, now: datetime) -> Suspension:
    """Stop `ref` at once. Only a person may; the same switch a second time is the one that stands."""
    acted = by.under(check(Permission.THROW_SWITCH, by.standing, _SITE))
    by.person()
    _check_reason(reason)
    with transaction.atomic():
        known = [row for row in suspensions_of([ref]) if row.cause == Cause.KILL_SWITCH.value]
        return known[0] if known else _begin(ref, Cause.KILL_SWITCH, "", reason=reason, by=acted, now=now)


def suspend(ref: Ref, *, cause: Cause, cause_ref: str, reason: str, by: Acting, now: datetime) -> Suspension:
    """Suspend because of a finding or by a rule, in the caller's transaction; once for each cause and thing."""
    if cause is Cause.KILL_SWITCH or not isinstance(by.actor, (Person, Job)):
        raise NotAllowed("Only a person throws the switch, and only a person or a rule suspends.", missing="person")
    known = [row for row in suspensions_of([ref]) if (row.cause, row.cause_ref) == (cause.value, cause_ref)]
    return known[0] if known else _begin(ref, cause, cause_ref, reason=reason, by=by, now=now)


def _begin(ref: Ref, cause: Cause, cause_ref: str, *, reason: str, by: Acting, now: datetime) -> Suspension:
    row = Suspension(
        id=uuid4(),
        scope=ref.scope.value,
        name=ref.name,
        cause=cause.value,
        cause_ref=cause_ref,
        reason=reason.strip(),
        began_at=now,
        began_by=by.user,
    )
    said = {"scope": row.scope, "name": row.name, "cause": row.cause, "cause_ref": row.cause_ref, "reason": row.reason}
    row.entry = _enter("suspension.set", row.pk, said, cause.value, by=by, now=now)
    row.save(force_insert=True)
    return row


def ask_end(suspension_id: UUID, *, reason: str, by: Acting, now: datetime) -> SuspensionEndAsked:
    """Ask, signed, that a suspension ends. Not who began it; once a person."""
    with transaction.atomic():
        row, acted = _to_end(suspension_id, reason, by)
        if row.asked.filter(asked_by=by.person()).exists():
            raise SecondNeeded("You asked for this already. Another person has to end it.")
        act = Act("suspension.end_asked", _next(row.pk))
        content = _content(row, reason)
        signature, esign = sign(content, act=act, meaning="asks that this suspension ends", by=acted, now=now)
        asked = SuspensionEndAsked(
            suspension=row, asked_by=by.person(), role=_role(acted), reason=reason.strip(), asked_at=now
        )
        asked.signature = signature
        asked.entry = _enter("suspension.end_asked", row.pk, content, row.cause, by=acted, now=now, esign=esign)
        asked.save(force_insert=True)
        return asked


def end_suspension(suspension_id: UUID, *, reason: str, by: Acting, now: datetime) -> SuspensionEnd:
    """End a suspension, signed. Raises NotAllowed to who began it, SecondNeeded where two are needed."""
    with transaction.atomic():
        row, acted = _to_end(suspension_id, reason, by)
        asked = _second(row, acted)
        act = Act("suspension.lifted", _next(row.pk))
        content = _content(row, reason)
        signature, esign = sign(content, act=act, meaning="ends this suspension", by=acted, now=now)
        end = SuspensionEnd(
            suspension=row,
            began_by_id=row.began_by_id,
            asked=asked,
            ended_by=by.person(),
            role=_role(acted),
            reason=reason.strip(),
            ended_at=now,
            signature=signature,
        )
        end.entry = _enter("suspension.lifted", row.pk, content, row.cause, by=acted, now=now, esign=esign)
        end.save(force_insert=True)
        return end


def _to_end(suspension_id: UUID, reason: str, by: Acting) -> tuple[Suspension, Acting]:
    acted = by.under(check(Permission.END_SUSPENSION, by.standing, _SITE))
    _check_reason(reason)
    with connection.cursor() as cursor:  # rows that only grow cannot be locked: of two who end it one waits
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"suspension:{suspension_id}"])
    row = Suspension.objects.filter(pk=suspension_id).first()
    if row is None or SuspensionEnd.objects.filter(pk=suspension_id).exists():
        raise NotFound(NOWHERE)
    if row.began_by_id == by.person().pk:
        raise NotAllowed("You began this: another person ends it.", missing="another_person")
    return row, acted


def _second(row: Suspension, acted: Acting) -> SuspensionEndAsked | None:
    """Who asked for this end before, with another role: needed for a thrown switch."""
    others = [a for a in row.asked.order_by("asked_at") if a.asked_by_id != acted.person().pk]
    if row.cause != Cause.KILL_SWITCH.value:
        return others[0] if others else None
    found = next((a for a in others if a.role != _role(acted)), None)
    if found is None:
        raise SecondNeeded(
            "A thrown switch is ended by two people with different roles: one asks, another one ends it."
        )
    return found


def _content(row: Suspension, reason: str) -> dict[str, Any]:
    return {
        "suspension": str(row.pk),
        "scope": row.scope,
        "name": row.name,
        "cause": row.cause,
        "began_at": row.began_at.isoformat(),
        "why_it_ends": reason.strip(),
    }


def _role(acted: Acting) -> str:
    return getattr(acted.actor, "role", "")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise BadInput("Say why.", field="reason")


def _next(suspension_id: UUID) -> ObjectRef:
    return ObjectRef(OBJECT, str(suspension_id), next_version(OBJECT, str(suspension_id)))


def _enter(
    kind: str,
    suspension_id: UUID,
    said: Mapping[str, Any],
    code: str,
    *,
    by: Acting,
    now: datetime,
    esign: Esign | None = None,
) -> UUID:
    event = Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=_next(suspension_id),
        purpose=Purpose.OPERATIONS,
        reason_code=code,
        esign=esign,
        payload=dict(said),
    )
    return append(event).entry_id
