"""The entrance is tried on the real database with the real rights, each test in its own transactions."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def nobody_has_knocked():
    """Limits on knocking are counted per process: each test starts at none."""
    cache.clear()
    yield
    cache.clear()
