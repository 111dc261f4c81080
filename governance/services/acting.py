"""Who acts: a person with the roles held at this moment, a device, or a job. Nobody else can.

Rules
 * A door builds one `Acting` per request; a service takes it and never looks at the session.
 * Staff act from a door only when they were recognised by two factors (SECURITY 2.3 A11); the entry says by which.
 * Roles are read afresh each time, so that a role taken away is gone at the next act.
 * A refused act is recorded too, in a transaction of its own, because the act's own rolls back (SECURITY 3.3).
   A flood of refusals is counted instead of written one by one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q

from audit.domain import Actor, Device, Event, Job, ObjectRef, OnBehalfOf, Outcome, Person
from audit.services import append_denied

from ..domain import NotAllowed, Presence, Refusal, Role, Standing
from ..models import RoleHeld, User
from ..policies import check_factors

if TYPE_CHECKING:
    from .signing import Asked, Proof


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, as the record names them.

    `user` is None for devices and jobs; `client` is the app that acted for a person; `proof` is a signature over the
    record of this act, checked at the door. `hand` signs what it is asked to, where a person is played by a program
    that holds a passkey of its own: what it answers is checked like anybody's.
    """

    actor: Actor
    standing: Standing
    user: User | None = None
    client: str | None = None
    proof: Proof | None = None
    hand: Callable[[Asked, datetime], Proof] | None = None

    def under(self, role: Role) -> Acting:
        """The same person, acting under the role that allowed the act."""
        if not isinstance(self.actor, Person):
            return self
        return replace(self, actor=replace(self.actor, role=role.value))

    def drawn(self, name: str) -> uuid.UUID:
        """A new identifier; or the one that stands, by that name, in the content signed for this very act.

        What is signed names what it makes. The content came from this act itself when it was tried without a signature.
        """
        signed = self._signed(name)
        return uuid.UUID(signed) if signed else uuid.uuid4()

    def drawn_at(self, name: str, now: datetime) -> datetime:
        """`now`; or the moment that stands, by that name, in the content signed for this very act."""
        signed = self._signed(name)
        return datetime.fromisoformat(signed) if signed else now.astimezone(UTC)

    def _signed(self, name: str) -> str | None:
        found = json.loads(self.proof.content).get(name) if self.proof is not None else None
        return found if isinstance(found, str) else None

    @property
    def on_behalf_of(self) -> OnBehalfOf | None:
        """The client that acted for the person, for the entry."""
        return OnBehalfOf(self.client) if self.client else None

    @property
    def kind(self) -> str:
        """`user`, `device`, `service` or `model`: as the entry names the kind of actor."""
        return {"Person": "user", "Device": "device", "Job": "service", "Model": "model"}[type(self.actor).__name__]

    @property
    def id(self) -> str:
        """The identifier of who acts."""
        return self.actor.id if not isinstance(self.actor, Job) else f"{self.actor.name}:{self.actor.run}"

    def person(self) -> User:
        """The account behind the act, or a refusal: only a person may do this."""
        if self.user is None:
            raise NotAllowed("Only a person can do this.", missing="person")
        return self.user


def acting_person(
    user: User | AnonymousUser | AbstractBaseUser | None,
    *,
    now: datetime,
    client: str | None = None,
    presence: Presence | None = None,
    enrolling: bool = False,
) -> Acting:
    """The person with the roles held at `now`. Anonymous, inactive and departed people are refused.

    A door says how the person came in (`presence`): staff who came in with one factor are refused here, whatever the
    door, but that on which the second is enrolled (`enrolling`). Without it the call comes from this server itself: a
    command at its console, or a job that a person started.
    """
    if not isinstance(user, User) or not user.is_active or user.left_at is not None:
        raise NotAllowed("Sign in first.", missing="account")
    held = RoleHeld.objects.filter(user=user, since__lte=now).filter(Q(until__isnull=True) | Q(until__gt=now))
    roles = frozenset(Role(r) for r in held.values_list("role", flat=True))
    role = min(roles).value if roles else "none"
    if presence is not None and not enrolling:
        check_factors(roles, presence.amr)
    return Acting(
        actor=Person(
            id=str(user.pk),
            role=role,
            session=presence.session if presence else None,
            amr=presence.amr if presence else (),
            auth_time=presence.since if presence else None,
        ),
        standing=Standing(person_id=str(user.pk), roles=roles, name=user.printed_name),
        user=user,
        client=client,
    )


def acting_device(device_id: str, *, key_id: str | None = None) -> Acting:
    """A measuring device, which holds no role."""
    return Acting(actor=Device(id=device_id, key_id=key_id), standing=Standing(person_id="", roles=frozenset()))


def acting_job(name: str, run: str) -> Acting:
    """A scheduled job or a command, named together with this run of it. It holds no role."""
    return Acting(actor=Job(name=name, run=run), standing=Standing(person_id="", roles=frozenset()))


def record_denial(refusal: Refusal, *, by: Acting, what: str, object_type: str, object_id: str, now: datetime) -> None:
    """Record that an act was refused. Its own transaction: what was refused left nothing else behind."""
    append_denied(
        Event(
            type="access.denied",
            occurred_at=now,
            actor=by.actor,
            on_behalf_of=by.on_behalf_of,
            object=ObjectRef(type=object_type, id=object_id),
            outcome=Outcome.DENIED,
            reason_code=refusal.code,
            payload={"what": what},
        )
    )
