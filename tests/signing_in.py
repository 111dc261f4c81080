"""How tests come in: as people do, by a passkey that is real but for where its key lies."""

import itertools
import json
from base64 import b32encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.test import Client

from edge_wearables.simulators.authenticator import SoftKey
from edge_wearables.simulators.signing import confirmed_key, enrolled_key, hand_of
from governance.domain import Method, Role
from governance.models import Credential, RoleHeld, User
from governance.policies import step_of
from governance.services.acting import Acting, acting_person
from governance.services.codes import code_at
from governance.services.credentials import confirm, enrol_code, live
from governance.services.signing import Asked, Proof

HOST = "testserver"
_numbers = itertools.count(1)


def key_of(user: User, *, place: str = HOST, now: datetime | None = None) -> SoftKey:
    """This person's passkey, enrolled if they have none yet."""
    scheme = "https" if place == HOST else "http"
    key = SoftKey(seed=f"test {user.pk}", place=place, origin=f"{scheme}://{place}", counts=False)
    key.user_handle = user.pk.bytes
    enrolled_key(user, key, now=now or datetime.now(UTC) - timedelta(minutes=1))
    return key


def enrolled(user: User, key: SoftKey, *, now: datetime) -> Credential:
    """The credential that this passkey becomes when its owner enrols it."""
    return enrolled_key(user, key, now=now)


def signing(by: Acting) -> Acting:
    """The same person with a hand that signs: by their passkey, enrolled and confirmed when it is first needed."""
    return replace(by, hand=_hand(by.person()))


def signing_key(user: User, *, now: datetime | None = None) -> SoftKey:
    """This person's passkey, confirmed by somebody else: it may sign."""
    now = now or datetime.now(UTC)
    key = key_of(user, now=now)
    confirmed_key(enrolled_key(user, key, now=now), by=_who_confirms(user, now=now), now=now)
    return key


def _hand(user: User) -> Callable[[Asked, datetime], Proof]:
    def hand(asked: Asked, now: datetime) -> Proof:
        return hand_of(user, signing_key(user, now=now))(asked, now)

    return hand


def _who_confirms(user: User, *, now: datetime) -> Acting:
    """Another administrator; the first one's own passkey is confirmed by the ceremony."""
    held = RoleHeld.objects.filter(role=Role.ADMINISTRATOR.value, until__isnull=True, user__is_active=True)
    other = held.exclude(user=user).order_by("since").first()
    return acting_person(other.user if other else user, now=now)


def code_of(user: User, *, now: datetime | None = None) -> str:
    """The code that this person's generator shows, enrolled a minute ago if they had none."""
    now = now or datetime.now(UTC)
    secret = b32encode(user.pk.bytes + b"test").decode()
    if not live(user, Method.TOTP).exists():
        then = now - timedelta(minutes=1)
        enrol_code(secret, code_at(secret, step_of(then)), by=acting_person(user, now=then), now=then)
    return code_at(secret, step_of(now))


def sign_in(client: Client, user: User, *, key: SoftKey | None = None) -> Client:
    """Sign this person in, in this browser, with their passkey."""
    key = key or key_of(user)
    options = client.post("/accounts/passkey/options/").json()
    answer = client.post("/accounts/passkey/", {"credential": json.dumps(key.get(options))})
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return client


def signed_in(user: User) -> Client:
    """A browser in which this person has signed in."""
    return sign_in(Client(), user)


def confirmed(user: User, *, by: User, now: datetime | None = None) -> None:
    """Another person confirms whatever this one has enrolled: it may sign."""
    now = now or datetime.now(UTC)
    for row in live(user).filter(method__in=[Method.WEBAUTHN.value, Method.TOTP.value], confirmed__isnull=True):
        confirm(row.pk, by=acting_person(by, now=now), now=now)


class SigningClient(Client):
    """A browser whose person signs, with their passkey, whatever they are asked to sign."""

    signer: User | None = None

    def post(self, path: str, data: object = None, *args: object, **more: object):
        """Send a form; where the answer asks for a signature, give it and send the form again."""
        answer = super().post(path, data, *args, **more)
        asked = (answer.context or {}).get("asked") if answer.context is not None else None
        if self.signer is None or asked is None or not isinstance(data, dict):
            return answer
        options = super().post(f"/signing/{asked.pk}/options/").json()
        said = {"signing": str(asked.pk), "credential": json.dumps(key_of(self.signer).get(options))}
        return super().post(path, data | said, *args, **more)
