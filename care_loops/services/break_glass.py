"""A clinician outside the care team opens a record: signed, for a time, with an alarm, and reviewed by somebody else.

Rules (N10, SECURITY 1.4)
 * The signature is the renewed recognition: all components, at this moment, over patient, reason and time.
 * The alarm leaves in the transaction of the opening, to reviewers and to the responsible clinician. Without anybody to
   hear it the record stays shut.
 * It is bound to the session or token in which it was opened: another window, another client, a sign-in later reads
   nothing under it. It gives `READ_RECORD` and nothing more (`break_glass.READS`, `governance.permissions`).
 * Nobody reviews their own, nor one of whoever gave them the role to review.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.domain import ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import enqueue
from governance.domain import BadInput, NotAllowed, NotFound, Permission, Refusal, Relation
from governance.permissions import check
from governance.selectors.sight import Wider, looking_wider
from governance.services import Act, Acting, sign

from ..break_glass import EndedHow, ReviewOutcome, glass_rules, over
from ..models import BreakGlass, BreakGlassReview, Patient
from ..selectors.access import NOBODY, relations_to
from ..selectors.glass import chosen_by, lapsed, opening_of, session_ended_at, session_of, who_must_hear
from ..selectors.record import record_ids
from .events import note
from .whose import locked_record

TOPIC = "break_glass.alarm"
SITE = frozenset({Relation.SITE})


class NotNeeded(Refusal):
    """The record is open to this person anyway."""

    code = "break_glass_not_needed"


class NobodyToHear(Refusal):
    """There is nobody whom the alarm would reach."""

    code = "nobody_to_hear"


class ReviewRefused(NotAllowed):
    """A review is closed by another person than who opened, and not by one of their choice."""

    code = "review_by_another"


@looking_wider(Wider.GLASS)
def break_glass(patient_id: UUID, *, reason_code: str, text: str, by: Acting, now: datetime) -> BreakGlass:
    """Open this record for reading, in this session, until its time is over. Raises `SignatureNeeded` without one."""
    acted = by.under(check(Permission.BREAK_GLASS, by.standing, SITE))
    session, said = session_of(by), text.strip()
    _check_said(session, reason_code, said)
    with transaction.atomic():
        patient = _locked(patient_id)
        if relations_to(by, patient, now=now):
            raise NotNeeded("This record is open to you already.")
        _end_lapsed(patient, by=acted, now=now)
        opening_id = by.drawn("opening")
        lasts = glass_rules().lasts
        record = {
            "opening": str(opening_id),
            "patient": str(patient.pk),
            "reason_code": reason_code,
            "text": said,
            "minutes": int(lasts.total_seconds() // 60),
            "allows": [Permission.READ_RECORD.value],
        }
        act = Act("access.break_glass", ObjectRef(type="break_glass", id=str(opening_id), version=1), str(patient.pk))
        signature, esign = sign(record, act=act, meaning="opens this record in an emergency", by=acted, now=now)
        entry = note(
            "access.break_glass",
            of=("break_glass", opening_id, 1),
            by=acted,
            now=now,
            patient_id=patient.pk,
            reason=reason_code,
            payload=record,
            esign=esign,
            purpose=Purpose.BREAK_GLASS,
        )
        opening = BreakGlass.objects.create(
            id=opening_id,
            patient=patient,
            opened_by=by.person(),
            reason_code=reason_code,
            text=said,
            client=by.client or "",
            session_sha256=session,
            opened_at=now,
            until=now + lasts,
            signature=signature,
            entry=entry.entry_id,
        )
        alarm(opening, by=acted, now=now)
    return opening


def _check_said(session: str, reason_code: str, said: str) -> None:
    if not session:
        raise NotAllowed("A record is opened so where you are signed in, and nowhere else.", missing="session")
    if reason_code not in dict(glass_rules().reasons):
        raise BadInput("Choose the reason from the list.", field="reason_code")
    if not said:
        raise BadInput("Say in your own words why.", field="text")


def _locked(patient_id: UUID) -> Patient:
    if not Patient.objects.filter(pk=patient_id).exists():
        raise NotFound(NOBODY)
    return locked_record(patient_id)


def alarm(opening: BreakGlass, *, by: Acting, now: datetime) -> None:
    """Tell whoever has to hear of it, over a channel that is not the opener's: one line of the outbox for each.

    In the caller's transaction. Without anybody to hear it, `NobodyToHear`.
    """
    told = who_must_hear(opening)
    if not told:
        raise NobodyToHear("Nobody would hear the alarm: this site has no compliance officer and no administrator.")
    key = str(opening.pk)
    note(
        "break_glass.alarmed",
        of=("break_glass", key, next_version("break_glass", key)),
        by=by,
        now=now,
        patient_id=opening.patient_id,
        payload={"told": [{"account": str(user), "as": role} for user, role in told]},
        purpose=Purpose.BREAK_GLASS,
    )
    for user, role in told:
        enqueue(TOPIC, {"opening": key, "to": str(user), "as": role})


@looking_wider(Wider.GLASS)
def end_break_glass(opening_id: UUID, *, by: Acting, now: datetime) -> BreakGlass:
    """Its owner ends it, from any session; what has ended stays ended."""
    with transaction.atomic():
        opening = BreakGlass.objects.select_for_update().filter(pk=opening_id, opened_by=by.person()).first()
        if opening is None:
            raise NotFound("There is no such opening of yours.")
        if not over(until=opening.until, ended_at=opening.ended_at, now=now):
            _end(opening, EndedHow.BY_OWNER, at=now, by=by, now=now)
        return opening


def end_lapsed(*, by: Acting, now: datetime) -> int:
    """Write the end of every opening whose time or session is over. Nothing was readable under them since."""
    ended = 0
    for found in lapsed(now=now):
        with transaction.atomic():
            row = BreakGlass.objects.select_for_update().filter(pk=found.pk, ended_at__isnull=True).first()
            if row is not None:
                _lapse(row, by=by, now=now)
                ended += 1
    return ended


def _end_lapsed(patient: Patient, *, by: Acting, now: datetime) -> None:
    """This person's own earlier opening of this record gives way, when it is over or another session's."""
    rows = BreakGlass.objects.select_for_update().filter(
        patient_id__in=record_ids(patient), opened_by=by.person(), ended_at__isnull=True
    )
    for row in rows:
        _lapse(row, by=by, now=now)


def _lapse(row: BreakGlass, *, by: Acting, now: datetime) -> None:
    if row.until <= now:
        _end(row, EndedHow.TIME, at=row.until, by=by, now=now)
    else:
        _end(row, EndedHow.SESSION, at=session_ended_at(row) or now, by=by, now=now)


def _end(row: BreakGlass, how: EndedHow, *, at: datetime, by: Acting, now: datetime) -> None:
    key = str(row.pk)
    note(
        "break_glass.ended",
        of=("break_glass", key, next_version("break_glass", key)),
        by=by,
        now=now,
        patient_id=row.patient_id,
        reason=how.value,
        purpose=Purpose.BREAK_GLASS,
    )
    row.ended_at, row.ended_how = max(at, row.opened_at), how.value
    row.save(update_fields=["ended_at", "ended_how"])


@looking_wider(Wider.GLASS)
def close_review(opening_id: UUID, *, outcome: ReviewOutcome, text: str, by: Acting, now: datetime) -> BreakGlassReview:
    """Another person closes the review of an opening that is over."""
    acted = by.under(check(Permission.REVIEW_BREAK_GLASS, by.standing, SITE))
    if not text.strip():
        raise BadInput("Say what you found.", field="text")
    with transaction.atomic():
        opening = BreakGlass.objects.select_for_update().filter(pk=opening_id).first()
        if opening is None:
            raise NotFound("There is no such opening.")
        reviewer = by.person()
        if reviewer.pk == opening.opened_by_id or chosen_by(opening.opened_by_id, reviewer.pk):
            raise ReviewRefused("Somebody else reviews this: not who opened it, nor one of their choice.")
        if BreakGlassReview.objects.filter(opening=opening).exists():
            raise Refusal("This review is closed already.")
        if not over(until=opening.until, ended_at=opening.ended_at, now=now):
            raise Refusal("This record is still open: it is reviewed when it has ended.")
        key = str(opening.pk)
        entry = note(
            "break_glass.reviewed",
            of=("break_glass", key, next_version("break_glass", key)),
            by=acted,
            now=now,
            patient_id=opening.patient_id,
            reason=outcome.value,
            payload={"outcome": outcome.value, "text": text.strip()},
            purpose=Purpose.AUDIT,
        )
        return BreakGlassReview.objects.create(
            opening=opening,
            outcome=outcome.value,
            text=text.strip(),
            reviewed_by=reviewer,
            reviewed_at=now,
            entry=entry.entry_id,
        )


__all__ = ["NobodyToHear", "NotNeeded", "ReviewRefused", "alarm", "break_glass", "close_review", "end_break_glass"]
__all__ += ["end_lapsed", "opening_of"]
