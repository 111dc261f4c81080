"""Putting something forward for several people, approving it, and carrying it out once they have (GOV-04, leap 2).

Rules (decision 73)
 * What is put is signed by its author; each approval is signed by who gives it, over the very same words.
 * Whoever owns an act hands in its content as it stands now, at each approval and when it is carried out: a policy, a
   reading, a rule or an edit that changes it makes the motion void, and nothing given before counts.
 * What is put forward about a patient (`patient` in its content) is entered about them, and sealed with their key.
 * One motion is open for a subject. A motion ends once: carried out, withdrawn, refused, void or expired, by an entry.

How an act uses it: `propose`, then `approve` by others; `standing` says what is missing and who may give it; inside the
act's own transaction `carry_out`, which refuses unless the quorum is met, and is taken once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from audit import canonical
from audit.domain import Esign, Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..domain import STAFF_ROLES, BadInput, NotAllowed, NotFound, Permission, Refusal, Relation, Role
from ..models import Approval, Motion
from ..permissions import check
from ..quorum import MotionExpired, MotionStatus, MotionVoid, QuorumAct, QuorumMissing, check_may_approve
from ..quorum import standing as stands
from ..quorum_rules import described
from ..selectors.quorum import (
    MotionState,
    digest_of,
    newest_motion,
    now_of,
    put_and_given,
    rules_in_force,
    state_of,
)
from .acting import Acting
from .signatures import sign
from .signing import Act

PUTS, APPROVES = "puts this forward", "approves this"
KIND = {
    MotionStatus.CARRIED_OUT: "approval.carried_out",
    MotionStatus.EXPIRED: "approval.expired",
    MotionStatus.REFUSED: "approval.refused",
    MotionStatus.VOID: "approval.voided",
    MotionStatus.WITHDRAWN: "approval.withdrawn",
}


class MotionOpen(Refusal):
    """Something about this is put forward already; it is approved, withdrawn or left to expire first."""

    code = "motion_open"


def propose(
    act: QuorumAct,
    *,
    subject: str,
    content: Mapping[str, Any],
    reason: str,
    of: str = "",
    by: Acting,
    now: datetime,
) -> Motion:
    """Put `content` (JSON without floats) forward about `subject`. Raises `MotionOpen`, `SignatureNeeded`.

    That the person may put this forward at all the caller has checked.
    """
    author = by.person()
    if not by.standing.roles & STAFF_ROLES:
        raise NotAllowed("Only staff put something forward.", missing="role")
    if not reason.strip():
        raise BadInput("Say why.", field="reason")
    rule = rules_in_force(now=now).rule(act, of)
    row = Motion(id=by.drawn("motion"), act=act.value, of=of, subject=subject, author=author, asked_at=now)
    said = {
        "motion": str(row.pk),
        "act": act.value,
        "of": of,
        "subject": subject,
        "author": str(author.pk),
        "reason": reason.strip(),
        "content": dict(content),
        "rule": described(rule),
    }
    row.said, row.digest, row.expires_at = canonical.dumps(said).decode(), digest_of(said), now + rule.lives
    try:
        with transaction.atomic():
            _end_what_is_over(subject, by=by, now=now)
            thing = ObjectRef(type="motion", id=str(row.pk), version=1)
            act_of = Act("approval.requested", thing, subject=_about(row))
            row.signature, esign = sign(said, act=act_of, meaning=PUTS, by=by, now=now)
            row.entry = _enter("approval.requested", row, thing, {"said": said}, esign=esign, by=by, now=now)
            row.save(force_insert=True)
    except IntegrityError as err:
        if "motion_one_open" not in str(err):
            raise
        raise MotionOpen("Something about this is put forward already.", subject=subject) from err
    return row


def approve(
    motion_id: uuid.UUID,
    *,
    role: Role | None = None,
    content: Mapping[str, Any] | None = None,
    by: Acting,
    now: datetime,
) -> Approval:
    """One person's approval, under `role` or the first of theirs that is missing; `content` as it stands now.

    Raises the refusals of `quorum.check_may_approve`, and `SignatureNeeded`.
    """
    approver = by.person()
    check(Permission.GIVE_APPROVAL, by.standing, frozenset({Relation.SITE}))
    with transaction.atomic():
        row = _locked(motion_id)
        put, given = put_and_given(row)
        so = now_of(row, content=content, now=now)
        under = check_may_approve(put, given, who=str(approver.pk), wanted=role, now=so)
        acted = by.under(under)
        key = str(row.pk)
        thing = ObjectRef(type="motion", id=key, version=next_version("motion", key))
        shown = {"motion": key, "digest": row.digest, "role": under.value, "put": row.document}
        act = Act("approval.given", thing, subject=_about(row))
        signature, esign = sign(shown, act=act, meaning=APPROVES, by=acted, now=now)
        entry = _enter("approval.given", row, thing, shown, esign=esign, by=acted, now=now)
        return Approval.objects.create(
            motion=row,
            subject=row.subject,
            digest=row.digest,
            author_id=row.author_id,
            approver=approver,
            role=under.value,
            approved_at=now,
            signature=signature,
            entry=entry,
        )


def refuse(motion_id: uuid.UUID, *, reason: str, by: Acting, now: datetime) -> Motion:
    """Somebody whom the rule asks for says no: the motion has ended."""
    check(Permission.GIVE_APPROVAL, by.standing, frozenset({Relation.SITE}))
    with transaction.atomic():
        row = _locked(motion_id)
        asked = {role for seat in put_and_given(row)[0].rule.seats for role in seat.roles}
        if not asked & by.standing.roles or row.author_id == by.person().pk:
            raise NotAllowed("Who is asked to approve may refuse.", missing="role", roles=sorted(asked))
        return _end(row, MotionStatus.REFUSED, reason=_said(reason), by=by, now=now)


def withdraw(motion_id: uuid.UUID, *, reason: str, by: Acting, now: datetime) -> Motion:
    """The author takes back what they put forward."""
    with transaction.atomic():
        row = _locked(motion_id)
        if row.author_id != by.person().pk:
            raise NotAllowed("Who put it forward withdraws it.", missing="author")
        return _end(row, MotionStatus.WITHDRAWN, reason=_said(reason), by=by, now=now)


def void(motion_id: uuid.UUID, *, reason: str, by: Acting, now: datetime) -> Motion:
    """What was put is no longer what stands: whoever owns the act says so. Its approvals count for nothing."""
    with transaction.atomic():
        return _end(_locked(motion_id), MotionStatus.VOID, reason=_said(reason), by=by, now=now)


def standing(subject: str, *, content: Mapping[str, Any] | None = None, now: datetime) -> MotionState | None:
    """How the newest motion about a subject stands: what is missing, and who may give it. None: nothing was put."""
    row = newest_motion(subject)
    return None if row is None else state_of(row, content=content, now=now)


def carry_out(motion_id: uuid.UUID, *, content: Mapping[str, Any], by: Acting, now: datetime) -> Motion:
    """Use the quorum up, in the transaction of the act itself. `content` is what is about to be done.

    Refuses unless every seat is filled, over this very content: `QuorumMissing`, `MotionVoid`, `MotionExpired`.
    """
    with transaction.atomic():
        row = _locked(motion_id)
        put, given = put_and_given(row)
        state = stands(put, given, now=now_of(row, content=content, now=now))
        if state.status is MotionStatus.VOID and not row.ended:
            raise MotionVoid("What was approved is no longer what would be done. Put it forward anew.")
        if state.status is MotionStatus.EXPIRED:
            raise MotionExpired("Its time has run out. Put it forward anew.", expires_at=row.expires_at.isoformat())
        if not state.met:
            missing = [{"roles": sorted(seat.roles), "count": seat.count} for seat in state.missing]
            raise QuorumMissing("Not everybody who is needed has approved this.", missing=missing, state=state.status)
        return _end(row, MotionStatus.CARRIED_OUT, reason="", by=by, now=now)


def expire_motions(*, by: Acting, now: datetime) -> int:
    """End what ran out of time, each by its entry. Returns how many."""
    over = Motion.objects.filter(ended="", expires_at__lte=now).values_list("pk", flat=True)
    for motion_id in over:
        with transaction.atomic():
            row = Motion.objects.select_for_update().get(pk=motion_id)
            if not row.ended:
                _end(row, MotionStatus.EXPIRED, reason="time", by=by, now=now)
    return len(over)


def _end_what_is_over(subject: str, *, by: Acting, now: datetime) -> None:
    """An older motion about the same subject that can come to nothing any more makes room."""
    row = Motion.objects.select_for_update().filter(subject=subject, ended="").first()
    if row is None:
        return
    if row.expires_at <= now:
        _end(row, MotionStatus.EXPIRED, reason="time", by=by, now=now)
    elif rules_in_force(now=now).rule(QuorumAct(row.act), row.of).asks != put_and_given(row)[0].rule.asks:
        _end(row, MotionStatus.VOID, reason="rule", by=by, now=now)


def _locked(motion_id: uuid.UUID) -> Motion:
    row = Motion.objects.select_for_update().filter(pk=motion_id).first()
    if row is None:
        raise NotFound("There is no such motion.")
    return row


def _said(reason: str) -> str:
    if not reason.strip():
        raise BadInput("Say why.", field="reason")
    return reason.strip()[:500]


def _end(row: Motion, how: MotionStatus, *, reason: str, by: Acting, now: datetime) -> Motion:
    if row.ended:
        raise QuorumMissing(f"It is {row.ended.replace('_', ' ')} already.", state=row.ended)
    key = str(row.pk)
    row.ended, row.ended_at, row.ended_by, row.ended_reason = how.value, now, by.user, reason
    row.save(update_fields=["ended", "ended_at", "ended_by", "ended_reason"])
    thing = ObjectRef(type="motion", id=key, version=next_version("motion", key))
    said = {"subject": row.subject, "digest": row.digest, "reason": reason}
    append(_event(KIND[how], row, thing, said, by=by, now=now))
    return row


def _about(row: Motion) -> str | None:
    """The patient whom a motion is about, where it is about one."""
    patient = row.content.get("patient")
    return str(patient) if patient else None


def _enter(
    kind: str, row: Motion, thing: ObjectRef, said: Mapping[str, Any], *, esign: Esign, by: Acting, now: datetime
) -> uuid.UUID:
    return append(_event(kind, row, thing, said, esign=esign, by=by, now=now)).entry_id


def _event(
    kind: str,
    row: Motion,
    thing: ObjectRef,
    said: Mapping[str, Any],
    *,
    esign: Esign | None = None,
    by: Acting,
    now: datetime,
) -> Event:
    return Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=thing,
        subject=_about(row),
        purpose=Purpose.OPERATIONS,
        esign=esign,
        payload=dict(said),
    )
