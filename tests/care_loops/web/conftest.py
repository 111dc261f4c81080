"""A ward, and a browser's cookie for each member of staff."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import Hospital
from tests.signing_in import sign_in


@pytest.fixture
def quick_passwords(settings) -> None:
    """Hashing slowly is for real passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ward(db, quick_passwords) -> Hospital:
    """A site in simulation, as it stands now."""
    from django.utils import timezone

    return Hospital(now=timezone.now().replace(microsecond=0))


@pytest.fixture
def signed_in(ward):
    """A function from a member of staff to a client signed in as them."""

    def client(username: str) -> Client:
        return sign_in(Client(enforce_csrf_checks=False), ward.people[username])

    return client
