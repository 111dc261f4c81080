"""People and machines act at the same instant: one decision holds, one command has one effect (N9)."""

import pytest

from tests.campaigns.racing import concurrent, double_submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_of_sixteen_decisions_at_once_one_holds_and_the_others_are_told_whose(owner_db):
    figure = concurrent(63, seed=20261122, owner=owner_db)
    assert (figure.n, figure.failed) == (1008, 0)
    assert figure.defect_caught, "reading and then writing must be seen to double, or this test shows nothing"


def test_one_command_sent_sixteen_times_at_once_has_one_effect_and_one_answer():
    figure = double_submit(63, seed=20261122)
    assert (figure.n, figure.failed) == (1008, 0)
    assert figure.defect_caught, "without a key the same command must be seen to act more than once"
