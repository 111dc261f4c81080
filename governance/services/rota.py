"""The rota: who is on call, who stands in, and what is called off.

Rules (DBT-03)
 * Only a clinician of this site is put on a rung; a shift is written, and called off, before it ends.
 * Whoever stands in takes it on themself: nobody is put in another's place by a third person.
 * Who leaves the staff is on call no longer; the hours they leave are shown as uncovered.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..cover import Rung
from ..domain import BadInput, NotFound, Permission, Relation, Role
from ..models import OnCallShift, RoleHeld, ShiftCover
from ..permissions import check
from .acting import Acting

_SITE = frozenset({Relation.SITE})
LONGEST = timedelta(days=7)


def add_shift(rung: Rung, user_id: UUID, *, starts: datetime, ends: datetime, by: Acting, now: datetime) -> OnCallShift:
    """Put a clinician on a rung from `starts` until before `ends`; a week at most at a time."""
    acted = by.under(check(Permission.MANAGE_COVER, by.standing, _SITE))
    _check_times(starts, ends, now=now)
    _check_clinician(user_id)
    with transaction.atomic():
        row = OnCallShift(id=uuid4(), rung=rung.value, user_id=user_id, starts=starts, ends=ends)
        row.entry = _enter("shift.added", row, user_id, starts, ends, by=acted, now=now)
        row.save(force_insert=True)
        return row


def call_off(shift_id: UUID, *, by: Acting, now: datetime) -> OnCallShift:
    """Take a shift away that has not ended."""
    acted = by.under(check(Permission.MANAGE_COVER, by.standing, _SITE))
    with transaction.atomic():
        row = _standing(shift_id, now=now)
        row.called_off_at = now
        _enter("shift.called_off", row, row.user_id, row.starts, row.ends, by=acted, now=now)
        row.save(update_fields=["called_off_at"])
        return row


def stand_in(shift_id: UUID, *, starts: datetime, ends: datetime, by: Acting, now: datetime) -> ShiftCover:
    """Take a part of somebody's shift upon oneself."""
    acted = by.under(check(Permission.STAND_IN, by.standing, _SITE))
    with transaction.atomic():
        shift = _standing(shift_id, now=now)
        if not shift.starts <= starts < ends <= shift.ends:
            raise BadInput("Stand in for a part of the shift.", field="starts", problem="outside")
        row = ShiftCover(id=uuid4(), shift=shift, user=by.person(), starts=starts, ends=ends, taken_at=now)
        row.entry = _enter("shift.covered", shift, row.user_id, starts, ends, by=acted, now=now)
        row.save(force_insert=True)
        return row


def _check_times(starts: datetime, ends: datetime, *, now: datetime) -> None:
    if ends <= starts:
        raise BadInput("A shift ends after it starts.", field="ends", problem="before_start")
    if ends <= now:
        raise BadInput("This shift would be over already.", field="ends", problem="past")
    if ends - starts > LONGEST:
        raise BadInput("A shift is a week long at most.", field="ends", problem="too_long")


def _check_clinician(user_id: UUID) -> None:
    held = RoleHeld.objects.filter(user_id=user_id, role=Role.CLINICIAN.value, until__isnull=True, user__is_active=True)
    if not held.exists():
        raise BadInput("Only a clinician of this site is on call.", field="user", problem="not_a_clinician")


def _standing(shift_id: UUID, *, now: datetime) -> OnCallShift:
    rows = OnCallShift.objects.select_for_update().filter(pk=shift_id, called_off_at__isnull=True, ends__gt=now)
    row = rows.first()
    if row is None:
        raise NotFound("There is no such shift, or it is over.")
    return row


def _enter(
    kind: str, row: OnCallShift, user_id: UUID, starts: datetime, ends: datetime, *, by: Acting, now: datetime
) -> UUID:
    key = str(row.pk)
    event = Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=ObjectRef(type="shift", id=key, version=next_version("shift", key)),
        purpose=Purpose.OPERATIONS,
        payload={"rung": row.rung, "user": str(user_id), "starts": starts.isoformat(), "ends": ends.isoformat()},
    )
    return append(event).entry_id
