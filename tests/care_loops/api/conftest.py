"""The small site that tests of the API play in."""

import pytest

from tests.care_loops.api.world import World


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """People are made by the dozen here; how slowly their passwords are hashed is not what is tested."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def world(db, built) -> World:
    """A site with Mary in it."""
    return built.once(World, fresh_s=120)


@pytest.fixture
def committed_world(transactional_db, built) -> World:
    """The same, committed, so that requests at the same moment can meet."""
    return built.once(World, fresh_s=120)
