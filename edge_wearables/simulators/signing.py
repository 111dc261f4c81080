"""How a person who is simulated signs: with a software passkey, by the road that everybody's signature goes.

Rules
 * The challenge is asked for, answered and checked as at any door; what comes of it is the same evidence.
 * The passkey is enrolled by its owner and confirmed by another person before it signs; the first administrator's own
   by the ceremony at which the site is founded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from governance.domain import Amr, Method, Presence
from governance.models import Credential, User
from governance.services import Acting, acting_person
from governance.services.credentials import confirm, confirm_by_ceremony, enrol_passkey, live
from governance.services.passkeys import creation_options
from governance.services.signing import Asked, Proof, begin_assertion, finish_assertion, passkey_options

from .authenticator import SoftKey

WITNESSES = ("Nobody, this person is simulated",)


def hand_of(user: User, key: SoftKey) -> Callable[[Asked, datetime], Proof]:
    """What signs for this person with this key, whatever they are asked to sign."""

    def hand(asked: Asked, now: datetime) -> Proof:
        challenge = begin_assertion(asked, user=user, now=now)
        answer = key.get(passkey_options(challenge, place=key.place))
        return finish_assertion(challenge.pk, answer, user=user, place=key.place, now=now)

    return hand


def enrolled_key(user: User, key: SoftKey, *, now: datetime) -> Credential:
    """The credential of this key, enrolled by its owner unless it was before."""
    for known in live(user, Method.WEBAUTHN):
        if known.credential_id == key.name:
            return known
    options, state = creation_options(user, [], place=key.place)
    by = acting_person(user, now=now, presence=Presence("simulated", (Amr.PASSWORD.value,), now), enrolling=True)
    return enrol_passkey(key.create(options), state, name="Software passkey", place=key.place, by=by, now=now)


def confirmed_key(credential: Credential, *, by: Acting, now: datetime) -> None:
    """It may sign from now on: another person confirms it, or its owner does by the ceremony of the founding."""
    if hasattr(credential, "confirmed"):
        return
    if by.person() == credential.user:
        confirm_by_ceremony(credential.pk, witnesses=WITNESSES, by=by, now=now)
    else:
        confirm(credential.pk, by=by, now=now)
