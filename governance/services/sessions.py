"""Sessions: opened with how somebody was recognised, looked at in every request, ended by limits or by hand.

Rules (SECURITY 1.4, 2.3 A11, A15; 21 CFR 11.200)
 * A browser's cookie counts only while there is a row that says how its session was opened. Whatever else made the
   cookie (a library's door, a shell) opened nothing.
 * Limits by role are data; they are looked at in every request, with the roles of that moment.
 * A session is kept by the SHA-256 of its key: the table does not open a door.
 * Opening and ending are entries. Ending all of a person's sessions takes effect at their next request.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from audit.domain import Actor, Event, ObjectRef, Person, Purpose
from audit.services import append

from ..domain import Amr, NotFound, Presence, Role
from ..models import RoleHeld, SignedIn, User
from ..policies import SessionOver, check_not_over, limits_for
from .acting import Acting

HEARD_EVERY = timedelta(seconds=20)  # how exactly a session remembers when it was last heard of


def open_session(user: User, *, key: str, amr: Iterable[Amr], agent: str, now: datetime) -> SignedIn:
    """Open the session with this key for somebody who was recognised by `amr`. What was shown before is not kept."""
    shown = tuple(dict.fromkeys(how.value for how in amr))
    row = SignedIn(
        user=user, session_sha256=_digest(key), amr=" ".join(shown), agent=agent[:120], began_at=now, seen_at=now
    )
    actor = Person(id=str(user.pk), role="none", session=key, amr=shown, auth_time=now)
    with transaction.atomic():
        row.entry = _record("login.succeeded", row, actor=actor, now=now, version=1)
        row.save(force_insert=True)
    return row


def look(user: User, key: str, *, now: datetime) -> tuple[Presence, frozenset[Role]]:
    """How the owner of this session came in, and the roles held now. Raises `SessionOver` when it has ended."""
    row = SignedIn.objects.filter(session_sha256=_digest(key), user=user).first()
    if row is None or row.ended_at is not None or not user.is_active or user.left_at is not None:
        raise SessionOver("You were signed out. Sign in again.", reason=row.end_reason if row else "unknown")
    held = RoleHeld.objects.filter(user=user, since__lte=now, until__isnull=True)
    roles = frozenset(Role(role) for role in held.values_list("role", flat=True))
    try:
        check_not_over(limits_for(roles), began=row.began_at, seen=row.seen_at, now=now)
    except SessionOver as over:
        _end(row, reason=str(over.extra["reason"]), actor=Person(id=str(user.pk), role="none"), now=now)
        raise
    if now - row.seen_at >= HEARD_EVERY:
        SignedIn.objects.filter(pk=row.pk, ended_at__isnull=True, seen_at__lt=now).update(seen_at=now)
    return Presence(session=key, amr=tuple(row.amr.split()), since=row.began_at), roles


def close_session(user: User, key: str, *, reason: str, now: datetime) -> None:
    """The session with this key ends, if it has not."""
    row = SignedIn.objects.filter(session_sha256=_digest(key), user=user, ended_at__isnull=True).first()
    if row is not None:
        _end(row, reason=reason, actor=Person(id=str(user.pk), role="none"), now=now)


def open_sessions(user: User) -> QuerySet[SignedIn]:
    """The sessions that have not ended, newest first."""
    return SignedIn.objects.filter(user=user, ended_at__isnull=True).order_by("-seen_at")


def is_this(row: SignedIn, key: str | None) -> bool:
    """Whether the row is the session with this key."""
    return key is not None and row.session_sha256 == _digest(key)


def end_own_session(session_id: uuid.UUID, *, by: Acting, now: datetime) -> None:
    """Somebody ends one of their own sessions, here or elsewhere."""
    row = open_sessions(by.person()).filter(pk=session_id).first()
    if row is None:
        raise NotFound("There is no such session of yours.")
    _end(row, reason="by_owner", actor=by.actor, now=now)


def end_sessions(user: User, *, by: Acting, now: datetime, reason: str, but: str | None = None) -> int:
    """Every session of a person ends, but the one with the key `but`. Returns how many were ended."""
    ended = 0
    with transaction.atomic():
        for row in open_sessions(user):
            if not is_this(row, but):
                _end(row, reason=reason, actor=by.actor, now=now)
                ended += 1
    return ended


def _end(row: SignedIn, *, reason: str, actor: Actor, now: datetime) -> None:
    with transaction.atomic():
        alive = SignedIn.objects.filter(pk=row.pk, ended_at__isnull=True)
        if alive.update(ended_at=now, end_reason=reason[:40]):
            _record("session.ended", row, actor=actor, now=now, version=2, reason=reason[:40])


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _record(
    kind: str, row: SignedIn, *, actor: Actor, now: datetime, version: int, reason: str | None = None
) -> uuid.UUID:
    appended = append(
        Event(
            type=kind,
            occurred_at=now,
            actor=actor,
            object=ObjectRef(type="session", id=str(row.pk), version=version),
            purpose=Purpose.OPERATIONS,
            reason_code=reason,
        )
    )
    return appended.entry_id
