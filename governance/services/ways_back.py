"""A way back in for somebody who lost password or passkeys: opened by another person, used once, by themself.

Rules (21 CFR 11.300(c), 11.200(a)(3); SECURITY 2.3 A11)
 * Opening it ends every credential and session of that person at once: what was lost opens nothing from then on.
 * An administrator opens it, for patients and carers too: an account opens its record, and who reads records must not
   come into another one's by a way back (N10).
 * The token is shown once, kept as its SHA-256, and works once within its time. The person chooses a new password with
   it and enrols anew; whoever opened the way knows neither, and does not confirm what is enrolled (`credentials`).
 * There is no other reset: no mail that opens an account, no password set by somebody else.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from audit.domain import Event, ObjectRef, Person, Purpose
from audit.services import append

from ..domain import BadInput, NotAllowed, NotFound, Permission, Refusal, Relation, Role, Standing
from ..models import User, WayBack
from ..permissions import check
from ..policies import factor_rules
from .acting import Acting
from .credentials import revoke_all
from .sessions import end_sessions
from .tokens import revoke_tokens_of

_SITE = frozenset({Relation.SITE})


class WayBackOver(Refusal):
    """The way back was used, has ended, or never was: the answer is the same."""

    code = "way_back_over"
    status = 410


@dataclass(frozen=True, slots=True)
class Opened:
    """A way back and its token, which exists nowhere else and is shown once."""

    way: WayBack
    token: str = field(repr=False)


def open_way_back(user_id: uuid.UUID, *, reason: str, by: Acting, now: datetime) -> Opened:
    """Open a way back for a person who has lost what they sign in with. Ends what was lost."""
    user = User.objects.filter(pk=user_id, left_at__isnull=True).first()
    if user is None:
        raise NotFound("There is no such person here.")
    acted = by.under(check(Permission.MANAGE_STAFF, by.standing, _SITE))
    if user.pk == by.person().pk:
        raise NotAllowed("Nobody opens a way back for themself. Ask another administrator.", missing="another_person")
    if not reason.strip():
        raise BadInput("Say what was lost, and how you know that it is them.", field="reason")
    token = secrets.token_urlsafe(32)
    way = WayBack(
        user=user,
        opened_by=by.person(),
        reason=reason.strip(),
        token_sha256=_digest(token),
        opened_at=now,
        expires_at=now + factor_rules().return_lives,
    )
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        revoke_all(user, reason="lost", by=acted, now=now)
        end_sessions(user, by=acted, now=now, reason="way_back_opened")
        revoke_tokens_of(user, by=acted, now=now)
        way.entry = _record("return.opened", way, by=acted, now=now, version=1)
        way.save(force_insert=True)
    return Opened(way=way, token=token)


def still_open(token: str, *, now: datetime) -> WayBack:
    """The way back that this token opens; otherwise `WayBackOver`."""
    return _checked(WayBack.objects.filter(token_sha256=_digest(token)).select_related("user").first(), now=now)


def come_back(token: str, password: str, *, now: datetime) -> User:
    """Use the way back: a new password, chosen by its owner. What follows is enrolment."""
    with transaction.atomic():
        found = WayBack.objects.select_for_update().filter(token_sha256=_digest(token)).first()
        way = _checked(found, now=now)
        user = User.objects.select_for_update().get(pk=way.user_id)
        _set_password(user, password)
        way.used_at = now
        way.save(update_fields=["used_at"])
        standing = Standing(person_id=str(user.pk), roles=frozenset[Role](), name=user.printed_name)
        own = Acting(actor=Person(id=str(user.pk), role="none"), standing=standing, user=user)
        _record("return.used", way, by=own, now=now, version=2)
    return user


def change_password(old: str, new: str, *, by: Acting, now: datetime, keep: str) -> None:
    """A person changes their own password; every session but `keep` ends."""
    from .recognising import check_password

    user = by.person()
    check_password(user, old, now=now)
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        _set_password(locked, new)
        end_sessions(locked, by=by, now=now, reason="password_changed", but=keep)
        append(
            Event(
                type="account.password_changed",
                occurred_at=now,
                actor=by.actor,
                object=ObjectRef(type="password", id=str(user.pk)),
                purpose=Purpose.OPERATIONS,
            )
        )


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as err:
        raise BadInput(" ".join(err.messages), field="password") from err
    user.set_password(password)
    user.save(update_fields=["password"])


def _checked(found: WayBack | None, *, now: datetime) -> WayBack:
    if found is None or found.used_at is not None or not found.opened_at <= now < found.expires_at:
        raise WayBackOver("This way back was used already, or has ended. Ask an administrator for a new one.")
    if found.user.left_at is not None or not found.user.is_active:
        raise WayBackOver("This way back was used already, or has ended. Ask an administrator for a new one.")
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _record(kind: str, way: WayBack, *, by: Acting, now: datetime, version: int) -> uuid.UUID:
    appended = append(
        Event(
            type=kind,
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type="way_back", id=str(way.pk), version=version),
            purpose=Purpose.OPERATIONS,
            payload={"user": str(way.user_id), "reason": way.reason},
        )
    )
    return appended.entry_id
