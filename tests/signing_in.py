"""How tests come in: as people do, by a passkey that is real but for where its key lies."""

import itertools
import json
from base64 import b32encode
from datetime import UTC, datetime, timedelta

from django.test import Client

from edge_wearables.simulators.authenticator import SoftKey
from governance.domain import Amr, Method, Presence
from governance.models import Credential, User
from governance.policies import step_of
from governance.services.acting import acting_person
from governance.services.codes import code_at
from governance.services.credentials import confirm, enrol_code, enrol_passkey, live
from governance.services.passkeys import creation_options

HOST = "testserver"
_numbers = itertools.count(1)


def key_of(user: User, *, place: str = HOST, now: datetime | None = None) -> SoftKey:
    """This person's passkey, enrolled if they have none yet."""
    scheme = "https" if place == HOST else "http"
    key = SoftKey(seed=f"test {user.pk}", place=place, origin=f"{scheme}://{place}")
    key.user_handle = user.pk.bytes
    known = live(user, Method.WEBAUTHN).filter(public_key__gt="").first()
    if known is None:
        enrolled(user, key, now=now or datetime.now(UTC) - timedelta(minutes=1))
    else:
        key.counter = known.use.sign_count
    return key


def enrolled(user: User, key: SoftKey, *, now: datetime) -> Credential:
    """The credential that this passkey becomes when its owner enrols it."""
    options, state = creation_options(user, [], place=key.place)
    by = acting_person(user, now=now, presence=Presence("test", (Amr.PASSWORD.value,), now), enrolling=True)
    return enrol_passkey(key.create(options), state, name="Soft key", place=key.place, by=by, now=now)


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
