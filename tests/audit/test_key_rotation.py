"""A new site key while the hospital works: nothing is unreadable for a moment, and a lost key is named first."""

import threading
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from audit import keyring
from audit.models import DataKey, Payload
from audit.selectors import payload_of
from audit.services import keys
from audit.services.payloads import open_payloads
from audit.services.rotation import draw, rotate
from audit.services.shredding import Lawful, shred_person
from tests.audit.builders import JOB, NOON, event, first_bad, number, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

HOW = {"by": JOB, "now": NOON}


@pytest.fixture(autouse=True)
def fresh_keys(settings, tmp_path):
    """A folder of keys of this test alone."""
    settings.AUDIT_KEYS_DIR = tmp_path / "keys"
    keys._kept.cache_clear()
    keyring.forget()
    yield tmp_path / "keys"
    keys._kept.cache_clear()
    keyring.forget()


def people(n: int) -> list:
    return record(*[event(f"l-{each}", subject=f"patient-{each}", payload={"n": each}) for each in range(n)])


def test_a_new_site_key_wraps_every_data_key_and_nothing_sealed_is_touched(fresh_keys):
    done = people(7)
    before = {row.id: bytes(row.body) for row in Payload.objects.all()}
    progress = []
    report = rotate(batch=3, progress=lambda n, of: progress.append((n, of)), **HOW)
    assert (report.site_key, report.rewrapped) == ("site-2", 8)  # seven people, and the site's own
    assert report.wrapped_by == (("site-2", 8),)
    assert progress == [(3, 8), (6, 8), (8, 8)]
    assert {row.id: bytes(row.body) for row in Payload.objects.filter(id__in=before)} == before
    assert [payload_of(each.entry_id) for each in done] == [{"n": n} for n in range(7)]
    (fresh_keys / "site-1.kek").unlink()
    keyring.forget()
    assert [payload_of(each.entry_id) for each in done] == [{"n": n} for n in range(7)]
    number()
    assert first_bad() is None


def test_old_and_new_wrappings_are_read_side_by_side_and_the_rest_is_finished_later():
    people(6)
    rotate(batch=2, **HOW)

    class Interrupted(Exception):
        pass

    def stop(done, _of):
        if done >= 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        rotate(batch=2, progress=stop, **HOW)
    assert set(DataKey.objects.values_list("kek_id", flat=True)) == {"site-2", "site-3"}
    assert len(open_payloads(list(Payload.objects.all()))) == Payload.objects.count()
    report = rotate(finish=True, **HOW)
    assert (report.site_key, report.rewrapped) == ("site-3", 5)
    assert rotate(finish=True, **HOW).rewrapped == 0


def test_readers_and_writers_go_on_while_keys_are_rotated():
    people(30)
    stop, failed, counted = threading.Event(), [], {"read": 0, "written": 0}

    def work(name, act):
        try:
            while not stop.is_set():
                act()
                counted[name] += 1
        except Exception as err:  # noqa: BLE001  (shown below)
            failed.append(err)
        finally:
            connections.close_all()

    def read():
        rows = list(Payload.objects.order_by("?")[:5])
        assert len(open_payloads(rows)) == len(rows)

    def write():
        n = counted["written"]
        record(event(f"w-{n}", subject=f"patient-{n % 40}", payload={"n": n}))

    threads = [threading.Thread(target=work, args=each) for each in (("read", read), ("written", write))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            rotate(batch=4, **HOW)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failed == []
    assert min(counted.values()) > 3
    rotate(finish=True, **HOW)
    assert set(DataKey.objects.values_list("kek_id", flat=True)) == {"site-5"}
    assert len(open_payloads(list(Payload.objects.all()))) == Payload.objects.count()
    number(limit=1000)
    assert first_bad() is None


def test_a_key_that_was_only_drawn_wraps_nothing_until_it_is_named(fresh_keys):
    """It is copied to the other machines meanwhile; none of them could open what it wrapped."""
    people(2)
    assert draw() == "site-2"
    record(event("new", subject="somebody-new"))
    assert set(DataKey.objects.values_list("kek_id", flat=True)) == {"site-1"}
    report = rotate(finish=True, **HOW)
    assert (report.site_key, report.wrapped_by) == ("site-2", (("site-2", 4),))
    record(event("newer", subject="somebody-newer"))
    assert set(DataKey.objects.values_list("kek_id", flat=True)) == {"site-2"}


def test_a_destroyed_key_is_not_wrapped_anew():
    people(2)
    shred_person("patient-0", lawful=Lawful("law-1", "a"), **HOW)
    rotate(**HOW)
    gone = DataKey.objects.get(destroyed_at__isnull=False)
    assert (gone.kek_id, bytes(gone.wrapped)) == ("site-1", b"")


def test_a_site_key_in_use_that_is_lost_is_named_before_anything_is_done(fresh_keys):
    people(2)
    (fresh_keys / "site-1.kek").rename(fresh_keys.parent / "away")
    keyring.forget()
    with pytest.raises(keys.KeyLost, match=r"site-1\.kek"):
        rotate(**HOW)
    with pytest.raises(CommandError, match=r"site-1\.kek"):
        call_command("rotate_keys")
    assert list(fresh_keys.glob("*.kek")) == []


def test_the_number_of_a_lost_key_is_not_given_again(fresh_keys):
    people(2)
    rotate(**HOW)
    rotate(**HOW)
    (fresh_keys / "site-2.kek").unlink()
    keyring.forget()
    assert rotate(**HOW).site_key == "site-4"


def test_no_key_is_wrapped_by_one_that_no_entry_names_or_by_an_older_one(app_db):
    people(1)
    for name in ("site-9", "site-1", "site-0", "mine"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_db.execute("UPDATE audit_datakey SET kek_id = %s, wrapped = wrapped", [name])
    rotate(**HOW)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_db.execute("UPDATE audit_datakey SET kek_id = 'site-1', wrapped = wrapped")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_db.execute("UPDATE audit_datakey SET kek_id = 'site-2', wrapped = wrapped")


def test_the_command_says_what_is_in_force():
    people(2)
    out = StringIO()
    call_command("rotate_keys", "--json", stdout=out)
    assert '"site_key": "site-2", "rewrapped": 3' in out.getvalue()
    with pytest.raises(CommandError, match="batch") as refused:
        call_command("rotate_keys", "--batch", "0")
    assert refused.value.returncode == 2
