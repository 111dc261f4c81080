"""The small site that tests of the API play in."""

import pytest

from care_loops.models import Loop
from tests.care_loops.api.world import World, for_the_clinician, for_the_patient


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """People are made by the dozen here; how slowly their passwords are hashed is not what is tested."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def world(db, built) -> World:
    """A site with Mary in it."""
    return built.once(World, fresh_s=120)


@pytest.fixture
def advised(db, built) -> tuple[World, Loop]:
    """The site, and a proposal that waits for the clinician."""
    return built.once(for_the_clinician, fresh_s=120)


@pytest.fixture
def directed(db, built) -> tuple[World, Loop]:
    """The site, and a proposal that is put before Mary."""
    return built.once(for_the_patient, fresh_s=120)


@pytest.fixture
def committed_world(transactional_db, built) -> World:
    """The same, committed, so that requests at the same moment can meet."""
    return built.once(World, fresh_s=120)
