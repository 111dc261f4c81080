"""What tests of authority share."""

import pytest


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """People are made by the dozen here; how slowly their passwords are hashed is not what is tested."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
