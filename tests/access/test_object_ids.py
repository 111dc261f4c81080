"""Ids of others in path, query and body of the whole API (SECURITY A2); 10,000: `make campaign ONLY=object_ids`."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests.access.swapping import swap
from tests.access.test_matrix import cast  # noqa: F401  (the hospital)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])
TIMES, SEED = 1_000, 20261122


def test_with_the_ids_of_others_nothing_of_theirs_is_shown_or_changed(cast):  # noqa: F811
    done = swap(cast, TIMES, seed=SEED)
    assert done.leaks == []
    assert done.tried == TIMES
    assert {200, 400, 403, 404} <= set(done.answered)  # doors that opened, too: on what is one's own


@override_settings(ROOT_URLCONF="tests.access.planted")
def test_a_door_that_believes_whose_record_it_is_told_is_caught(cast):  # noqa: F811
    leaks = swap(cast, 600, seed=SEED).leaks
    assert any("me/history" in leak for leak in leaks)
    assert any("their record changed" in leak for leak in leaks)
