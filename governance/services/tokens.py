"""Tokens of the OAuth server as the record sees them: issued, refreshed, revoked. The tables are the library's.

Rules
 * One scope, one door: `patient` opens the patient's API, `staff` the clinician's, `device` uploads. A scope never
   gives more than the roles of the person behind it.
 * An access token lives an hour. A refresh token is used once; used twice, its whole family dies (RFC 9700 4.14).
 * A token carries how its owner was recognised when it was given. Staff need two factors for one, and none outlives the
   sign-in it came of (SECURITY 2.3 A11).
 * A token is never kept or recorded as text: the entry names its row.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from oauth2_provider.models import (
    AbstractApplication,
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
    set_token_value,
)

from audit.domain import Event, ObjectRef, OnBehalfOf, Person, Purpose
from audit.services import append

from ..domain import STAFF_ROLES, Amr, Presence, Role
from ..models import RoleHeld, TokenUnder, User
from ..policies import check_factors, check_not_over, limits_for
from .acting import Acting, acting_person

ACCESS_LIVES = timedelta(hours=1)
PATIENT_SCOPE, STAFF_SCOPE = "patient", "staff"
PHONE_CLIENT = "clinaiops-phone"


def phone_client(*, redirect_uris: tuple[str, ...]) -> AbstractApplication:
    """The patient's application as an OAuth client: public, authorization code with PKCE, no secret to lose."""
    application = get_application_model()
    with transaction.atomic():
        client, _ = application.objects.update_or_create(
            client_id=PHONE_CLIENT,
            defaults={
                "name": "ClinAIOps for patients",
                "client_type": application.CLIENT_PUBLIC,
                "authorization_grant_type": application.GRANT_AUTHORIZATION_CODE,
                "redirect_uris": " ".join(redirect_uris),
                "client_secret": "",
                "skip_authorization": False,
            },
        )
    return client


def issue_patient_token(user: User, client: AbstractApplication, now: datetime) -> str:
    """A bearer token for the patient's API, good for an hour, as if a passkey was used: for tests."""
    return _issue(user, client, PATIENT_SCOPE, amr=(Amr.PASSKEY,), now=now)


def issue_staff_token(user: User, client: AbstractApplication, now: datetime) -> str:
    """The same for a member of staff and the clinician's API."""
    return _issue(user, client, STAFF_SCOPE, amr=(Amr.PASSKEY,), now=now)


def revoke_tokens_of(user: User, *, by: Acting, now: datetime) -> int:
    """End every token of a person; the next request with one is refused. Returns how many were ended."""
    ended = 0
    with transaction.atomic():
        for token in get_access_token_model().objects.filter(user=user):
            _record("token.revoked", by=by, row=str(token.pk), now=now)
            token.revoke()
            ended += 1
        for token in get_refresh_token_model().objects.filter(user=user, revoked__isnull=True):
            token.revoke()
            ended += 1
    return ended


def record_issued(
    user: User, *, client_id: str, row: str, scope: str, presence: Presence | None, now: datetime
) -> None:
    """Record that the OAuth server gave a token, and under what, in the transaction that stores it."""
    actor = Person(id=str(user.pk), role="none")
    if presence is not None:
        actor = replace(actor, amr=presence.amr, auth_time=presence.since)
        keep_under("access", row, presence)
    append(_event("token.issued", actor, client_id, row, scope, now))


def keep_under(kind: str, row: str, presence: Presence) -> None:
    """Keep how the person behind this token was recognised, in the caller's transaction."""
    TokenUnder.objects.create(kind=kind, row=row, amr=" ".join(presence.amr), since=presence.since)


def given_under(kind: str, row: str, *, session: str = "") -> Presence | None:
    """How the person behind this token was recognised when it was given; None when nobody said."""
    found = TokenUnder.objects.filter(kind=kind, row=row).first()
    return None if found is None else Presence(session=session, amr=tuple(found.amr.split()), since=found.since)


def check_token(user: User, presence: Presence | None, *, now: datetime) -> None:
    """Refuse a token of staff that was given under one factor, or under a sign-in that would be over by now."""
    held = RoleHeld.objects.filter(user=user, since__lte=now, until__isnull=True)
    roles = frozenset(Role(role) for role in held.values_list("role", flat=True))
    check_factors(roles, presence.amr if presence else ())
    if presence is not None and STAFF_ROLES & roles:
        check_not_over(limits_for(roles), began=presence.since, seen=now, now=now)


def _issue(user: User, client: AbstractApplication, scope: str, *, amr: tuple[Amr, ...], now: datetime) -> str:
    by = acting_person(user, now=now, client=client.client_id)
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        row = get_access_token_model()(user=user, application=client, scope=scope, expires=now + ACCESS_LIVES)
        set_token_value(row, secret)
        row.save(force_insert=True)
        keep_under("access", str(row.pk), Presence(session="", amr=tuple(how.value for how in amr), since=now))
        append(_event("token.issued", by.actor, client.client_id, str(row.pk), scope, now))
    return secret


def _record(kind: str, *, by: Acting, row: str, now: datetime) -> None:
    append(
        Event(
            type=kind,
            occurred_at=now,
            actor=by.actor,
            object=ObjectRef(type="token", id=row),
            purpose=Purpose.OPERATIONS,
        )
    )


def _event(kind: str, actor: object, client_id: str, row: str, scope: str, now: datetime) -> Event:
    return Event(
        type=kind,
        occurred_at=now,
        actor=actor,  # type: ignore[arg-type]
        on_behalf_of=OnBehalfOf(client_id),
        object=ObjectRef(type="token", id=row),
        purpose=Purpose.OPERATIONS,
        payload={"scope": scope},
    )
