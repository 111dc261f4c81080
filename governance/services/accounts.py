"""People come, are given roles, and go: the first administrator, invitations, roles, leaving.

Rules
 * A site is founded once. After that, nobody gets an account but by the invitation of somebody who may give it.
 * Staff are invited by an administrator; patients and carers by whoever enrols patients. An administrator cannot accept
   for somebody: the token is shown once, kept as its SHA-256, works once, and ends after `INVITATION_LIVES`.
 * A role is held from one instant to another; the row stays. The last administrator cannot be taken away.
 * A role more is given when one person asked for it and another granted it (`roles`); taken away it is at once.
 * Who leaves can do nothing from the same transaction on: roles, tokens, credentials and sessions end, the account is
   inactive. User names are never given again: the row stays.
 * Each of these is one entry on the account's own chain.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unicodedata import normalize

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction

from audit.domain import Event, ObjectRef, Person, Purpose
from audit.selectors import next_version
from audit.services import append

from ..domain import STAFF_ROLES, BadInput, NotAllowed, NotFound, Permission, Refusal, Relation, Role, Standing
from ..models import Invitation, RoleAsked, RoleHeld, User
from ..permissions import check
from .acting import Acting, acting_job
from .credentials import revoke_all
from .sessions import end_sessions
from .tokens import revoke_tokens_of

INVITATION_LIVES = timedelta(days=7)
_SITE = frozenset({Relation.SITE})


class AlreadyFounded(Refusal):
    """The site has an administrator; everybody else is invited."""

    code = "already_founded"


class LastAdministrator(Refusal):
    """A site without an administrator could not be put right from inside."""

    code = "last_administrator"


class InvitationOver(Refusal):
    """The invitation was used, has ended, or never was: the answer is the same."""

    code = "invitation_over"
    status = 410


class AccountUnusable(BadInput):
    """The account as asked for cannot be made; `field` and the sentence say why."""

    code = "account_unusable"
    status = 422


@dataclass(frozen=True, slots=True)
class NewAccount:
    """Who the person is and how they sign in. The password is checked against the site's rules and never kept."""

    username: str
    given_name: str
    family_name: str
    password: str = field(repr=False)
    email: str = ""


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation and its token, which exists nowhere else and is shown once."""

    invitation: Invitation
    token: str = field(repr=False)


def found_site(new: NewAccount, *, now: datetime) -> User:
    """Make the first administrator. Refused as soon as one person has ever held the role."""
    by = acting_job("first_run", str(uuid.uuid4()))
    with transaction.atomic():
        _lock_accounts()
        if RoleHeld.objects.filter(role=Role.ADMINISTRATOR).exists():
            raise AlreadyFounded("This site already has an administrator. Ask them for an invitation.")
        user = _create(new)
        _record("account.created", user, by=by, now=now)
        _hold(user, Role.ADMINISTRATOR, by=by, now=now)
        append(
            Event(
                type="site.founded",
                occurred_at=now,
                actor=by.actor,
                object=ObjectRef(type="site", id="site", version=next_version("site", "site")),
                purpose=Purpose.OPERATIONS,
            )
        )
    return user


def invite(email: str, role: Role, *, by: Acting, now: datetime, patient_ref: uuid.UUID | None = None) -> Invited:
    """Invite a person to one role. A patient's or carer's invitation says whose record (`patient_ref`, opaque here)."""
    acted = by.under(check(_who_invites(role), by.standing, _SITE))
    if (role in STAFF_ROLES) != (patient_ref is None):
        raise BadInput("A patient's or carer's invitation names a record, and no other does.", field="patient_ref")
    try:
        validate_email(email)
    except ValidationError as err:
        raise BadInput("This is not an e-mail address.", field="email") from err
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        email=email,
        role=role.value,
        token_sha256=_digest(token),
        patient_ref=patient_ref,
        invited_by=by.person(),
        invited_at=now,
        expires_at=now + INVITATION_LIVES,
    )
    with transaction.atomic():
        appended = append(
            Event(
                type="invitation.made",
                occurred_at=now,
                actor=acted.actor,
                on_behalf_of=acted.on_behalf_of,
                object=ObjectRef(type="invitation", id=str(invitation.pk), version=1),
                subject=str(patient_ref) if patient_ref else None,
                purpose=Purpose.OPERATIONS,
                payload={"role": role.value, "email": email},
            )
        )
        invitation.entry = appended.entry_id
        invitation.save(force_insert=True)
    return Invited(invitation=invitation, token=token)


def open_invitation(token: str, *, now: datetime) -> Invitation:
    """The invitation this token opens, still good at `now`; otherwise `InvitationOver`."""
    found = Invitation.objects.filter(token_sha256=_digest(token)).first()
    return _still_open(found, now=now)


def accept_invitation(token: str, new: NewAccount, *, now: datetime) -> tuple[User, Invitation]:
    """Make the invited person's account, in their own name, with the role they were invited to. Once."""
    with transaction.atomic():
        locked = Invitation.objects.select_for_update().filter(token_sha256=_digest(token)).first()
        invitation = _still_open(locked, now=now)
        user = _create(new, email=invitation.email)
        role = Role(invitation.role)
        person = acting_as(user, role)
        _record("account.created", user, by=person, now=now)
        _hold(user, role, by=person, now=now, invitation=invitation)
        invitation.accepted_by, invitation.accepted_at = user, now
        invitation.save(update_fields=["accepted_by", "accepted_at"])
        append(
            Event(
                type="invitation.accepted",
                occurred_at=now,
                actor=person.actor,
                object=ObjectRef(type="invitation", id=str(invitation.pk), version=2),
                subject=str(invitation.patient_ref) if invitation.patient_ref else None,
                purpose=Purpose.OPERATIONS,
                payload={"account": str(user.pk), "role": role.value},
            )
        )
    return user, invitation


def acting_as(user: User, role: Role) -> Acting:
    """A person who has just joined, acting under the role they joined with."""
    standing = Standing(person_id=str(user.pk), roles=frozenset({role}), name=user.printed_name)
    return Acting(actor=Person(id=str(user.pk), role=role.value), standing=standing, user=user)


def grant_role(asked: RoleAsked, *, by: Acting, now: datetime) -> RoleHeld:
    """Give a member of staff the role that one asked for and `by` granted, from `now`. In the caller's transaction."""
    if not asked.granted or asked.answered_by_id != by.person().pk:
        raise NotAllowed("A role is given when another person has granted it.", missing="another_person")
    user = _locked(asked.user_id)
    held = RoleHeld.objects.filter(user=user, role=asked.role, until__isnull=True).first()
    return held or _hold(user, Role(asked.role), by=by, now=now)


def revoke_role(user_id: uuid.UUID, role: Role, *, by: Acting, now: datetime) -> None:
    """Take a role away at `now`; the next act of that person already goes without it."""
    acted = by.under(check(Permission.MANAGE_STAFF, by.standing, _SITE))
    with transaction.atomic():
        user = _locked(user_id)
        held = RoleHeld.objects.filter(user=user, role=role, until__isnull=True).first()
        if held is None:
            raise NotFound("This person does not hold that role.")
        _end(held, by=acted, now=now)


def leave(user_id: uuid.UUID, *, by: Acting, now: datetime) -> User:
    """A person leaves: every role ends, every token dies, the account can no longer act. What they did stays theirs."""
    acted = by.under(check(Permission.MANAGE_STAFF, by.standing, _SITE))
    with transaction.atomic():
        user = _locked(user_id)
        for held in RoleHeld.objects.filter(user=user, until__isnull=True):
            _end(held, by=acted, now=now)
        revoke_tokens_of(user, by=acted, now=now)
        revoke_all(user, reason="left", by=acted, now=now)
        end_sessions(user, by=acted, now=now, reason="left")
        user.left_at, user.is_active = now, False
        user.save(update_fields=["left_at", "is_active"])
        _record("staff.left", user, by=acted, now=now)
    return user


def _who_invites(role: Role) -> Permission:
    return Permission.MANAGE_STAFF if role in STAFF_ROLES else Permission.ENROL_PATIENT


def _still_open(found: Invitation | None, *, now: datetime) -> Invitation:
    if found is None or found.accepted_at is not None or not found.invited_at <= now < found.expires_at:
        raise InvitationOver("This invitation was used already, or has ended. Ask for a new one.")
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _lock_accounts() -> None:
    """Two first runs, or two farewells to the last two administrators, take turns."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('clinaiops administrators'))")


def _locked(user_id: uuid.UUID) -> User:
    user = User.objects.select_for_update().filter(pk=user_id, left_at__isnull=True).first()
    if user is None:
        raise NotFound("There is no such person here.")
    return user


def _create(new: NewAccount, *, email: str = "") -> User:
    given, family = normalize("NFC", new.given_name), normalize("NFC", new.family_name)  # as the record spells
    user = User(username=new.username, first_name=given, last_name=family, email=email or new.email)
    try:
        user.clean_fields(exclude=["password"])
        validate_password(new.password, user)
    except ValidationError as err:
        named = sorted(err.message_dict) if hasattr(err, "error_dict") else ["password"]
        raise AccountUnusable(" ".join(err.messages), field=named[0]) from err
    user.set_password(new.password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as err:
        raise AccountUnusable("This user name is taken.", field="username") from err
    return user


def _hold(user: User, role: Role, *, by: Acting, now: datetime, invitation: Invitation | None = None) -> RoleHeld:
    payload: dict[str, Any] = {"role": role.value}
    if invitation is not None:
        payload |= {"invitation": str(invitation.pk), "invited_by": str(invitation.invited_by_id)}
    entry = _record("role.granted", user, by=by, now=now, payload=payload)
    return RoleHeld.objects.create(user=user, role=role.value, since=now, entry=entry)


def _end(held: RoleHeld, *, by: Acting, now: datetime) -> None:
    if held.role == Role.ADMINISTRATOR:
        _lock_accounts()
        others = RoleHeld.objects.filter(role=Role.ADMINISTRATOR, until__isnull=True, user__is_active=True)
        if not others.exclude(pk=held.pk).exists():
            raise LastAdministrator("This is the last administrator. Give the role to somebody else first.")
    held.until = now
    held.save(update_fields=["until"])
    _record("role.revoked", held.user, by=by, now=now, payload={"role": held.role})


def _record(kind: str, user: User, *, by: Acting, now: datetime, payload: dict[str, Any] | None = None) -> uuid.UUID:
    key = str(user.pk)
    appended = append(
        Event(
            type=kind,
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type="account", id=key, version=next_version("account", key)),
            purpose=Purpose.OPERATIONS,
            payload=payload,
        )
    )
    return appended.entry_id
