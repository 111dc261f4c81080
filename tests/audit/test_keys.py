"""The log's secrets: made once, private, and never silently made anew under a record."""

import stat
import threading

import pytest

from audit.models import Checkpoint
from audit.services import keys, signing
from tests.audit.builders import event, number, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


@pytest.fixture
def fresh_home(settings, tmp_path):
    """A folder with no secrets in it yet."""
    settings.AUDIT_KEYS_DIR = tmp_path / "keys"
    keys._kept.cache_clear()
    yield tmp_path / "keys"
    keys._kept.cache_clear()


def test_secrets_are_made_once_and_readable_by_their_owner_only(fresh_home):
    first = keys.origin(), keys.tenant_key(), keys.statement_vkey()
    keys._kept.cache_clear()
    assert (keys.origin(), keys.tenant_key(), keys.statement_vkey()) == first
    assert stat.S_IMODE(fresh_home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in fresh_home.iterdir()} == {0o600}
    assert sorted(path.name for path in fresh_home.iterdir()) == ["log.origin", "statement.key", "tenant.key"]


def test_many_who_come_first_agree_on_one_key(fresh_home):
    barrier, drawn = threading.Barrier(8), []

    def come():
        barrier.wait(10)
        drawn.append(keys._kept.__wrapped__(fresh_home, "tenant.key", keys._draw_key, "audit_pending"))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(drawn) == 8
    assert len(set(drawn)) == 1


def test_a_site_names_its_log_itself(fresh_home, settings):
    settings.AUDIT_ORIGIN = "hospital.example/audit"
    assert keys.origin() == signing.first_key().name == "hospital.example/audit"


@pytest.mark.parametrize("lost", ["tenant.key", "log.origin"])
def test_a_key_lost_under_a_record_is_named_not_replaced(fresh_home, lost):
    record(event())
    number()
    assert Checkpoint.objects.count() == 1
    (fresh_home / lost).rename(fresh_home.parent / lost)
    keys._kept.cache_clear()
    with pytest.raises(keys.KeyLost, match=lost):
        (keys.origin(), keys.tenant_key())
    assert not (fresh_home / lost).exists()
