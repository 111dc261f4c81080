"""A ward, and a browser's cookie for each member of staff."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import Hospital, hospital_now
from tests.signing_in import SigningClient, confirmed, sign_in


@pytest.fixture
def quick_passwords(settings) -> None:
    """Hashing slowly is for real passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ward(db, built) -> Hospital:
    """A site in simulation, as it stands now."""
    return built.once(hospital_now, fresh_s=120)


@pytest.fixture
def signed_in(ward):
    """A function from a member of staff to a client signed in as them."""

    def client(username: str) -> Client:
        made, person = SigningClient(enforce_csrf_checks=False), ward.people[username]
        sign_in(made, person)
        if username != "admin":
            confirmed(person, by=ward.people["admin"])
        made.signer = person
        return made

    return client
