"""A role more for somebody who is here already: asked for by one person, answered by another.

Rules (SECURITY 2.3 A8; ROL-01)
 * Who asks does not answer, and nobody answers for themself. What was asked is granted at the answer, or never.
 * Taking a role away needs no second person: less power is given at once (`accounts.revoke_role`).
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from audit.domain import Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..domain import STAFF_ROLES, BadInput, NotAllowed, NotFound, Permission, Refusal, Relation, Role
from ..models import RoleAsked, RoleHeld, User
from ..permissions import check
from .accounts import grant_role
from .acting import Acting

_SITE = frozenset({Relation.SITE})


class AskedAlready(Refusal):
    """The same role was asked for and has not been answered, or the person holds it."""

    code = "asked_already"


def ask_for_role(user_id: uuid.UUID, role: Role, *, reason: str, by: Acting, now: datetime) -> RoleAsked:
    """Ask that a member of staff be given one more role."""
    acted = by.under(check(Permission.MANAGE_STAFF, by.standing, _SITE))
    if role not in STAFF_ROLES:
        raise BadInput("Patients and carers join by invitation to a record.", field="role")
    if not reason.strip():
        raise BadInput("Say why.", field="reason")
    user = User.objects.filter(pk=user_id, left_at__isnull=True).first()
    if user is None:
        raise NotFound("There is no such person here.")
    if RoleHeld.objects.filter(user=user, role=role.value, until__isnull=True).exists():
        raise AskedAlready("This person holds that role.")
    row = RoleAsked(user=user, role=role.value, reason=reason.strip(), asked_by=by.person(), asked_at=now)
    try:
        with transaction.atomic():
            row.entry = _record("approval.requested", row, by=acted, now=now)
            row.save(force_insert=True)
    except IntegrityError as err:
        raise AskedAlready("That role was asked for already.") from err
    return row


def unanswered() -> QuerySet[RoleAsked]:
    """What was asked for and not answered, oldest first."""
    return RoleAsked.objects.filter(answered_at__isnull=True).select_related("user", "asked_by").order_by("asked_at")


def answer_role(asked_id: uuid.UUID, *, grant: bool, by: Acting, now: datetime) -> RoleAsked:
    """A third person grants or refuses what was asked for."""
    acted = by.under(check(Permission.CONFIRM_PEOPLE, by.standing, _SITE))
    with transaction.atomic():
        row = RoleAsked.objects.select_for_update().filter(pk=asked_id, answered_at__isnull=True).first()
        if row is None:
            raise NotFound("There is nothing to answer.")
        if by.person().pk in (row.asked_by_id, row.user_id):
            raise NotAllowed("Who asked, and whom it is about, do not answer.", missing="another_person")
        row.answered_by, row.answered_at, row.granted = by.person(), now, grant
        row.save(update_fields=["answered_by", "answered_at", "granted"])
        _record("approval.given" if grant else "approval.refused", row, by=acted, now=now)
        if grant:
            grant_role(row, by=acted, now=now)
    return row


def _record(kind: str, row: RoleAsked, *, by: Acting, now: datetime) -> uuid.UUID:
    key = str(row.pk)
    payload: dict[str, Any] = {"user": str(row.user_id), "role": row.role, "reason": row.reason}
    appended = append(
        Event(
            type=kind,
            occurred_at=now,
            actor=by.actor,
            object=ObjectRef(type="role_asked", id=key, version=next_version("role_asked", key)),
            purpose=Purpose.OPERATIONS,
            payload=payload,
        )
    )
    return appended.entry_id
