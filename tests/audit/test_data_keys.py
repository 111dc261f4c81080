"""Payloads and the keys they are sealed under: one per person, gone with a rollback, held by the database itself."""

import threading
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, connection, connections, transaction

from audit import keyring, sealing
from audit.models import DataKey, Payload, PayloadKey
from audit.opening import PayloadUnsound
from audit.selectors import payload_of
from audit.services import append, keys
from audit.services.data_keys import key_for
from audit.services.payloads import Plain, open_payload, open_payloads
from tests.audit.builders import event, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])


@pytest.fixture
def fresh_keys(settings, tmp_path):
    """A folder of keys of this test alone."""
    settings.AUDIT_KEYS_DIR = tmp_path / "keys"
    keys._kept.cache_clear()
    keyring.forget()
    yield tmp_path / "keys"
    keys._kept.cache_clear()
    keyring.forget()


def refused(cursor, statement, *values) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        cursor.execute(statement, values)


def test_a_payload_is_stored_sealed_and_read_in_the_clear():
    (done,) = record(event(payload={"said": "Ada Example takes amlodipine"}))
    row = Payload.objects.get(entry_id=done.entry_id)
    assert (row.alg, bytes(row.salt)) == ("aes256gcm/v1", b"")
    assert b"Ada" not in bytes(row.body)
    assert payload_of(done.entry_id) == {"said": "Ada Example takes amlodipine"}
    found = open_payload(row)
    assert isinstance(found, Plain)
    assert len(found.salt) == 32


def test_a_payload_of_before_sealing_is_still_read(owner_db):
    (done,) = record(event(payload=None, kind="access.denied", reason_code="x"))
    owner_db.execute(
        "INSERT INTO audit_payload (id, entry_id, commit, salt, alg, body) VALUES (%s, %s, '', %s, 'plain/v1', %s)",
        [uuid4(), done.entry_id, bytes(32), b'{"a":1}'],
    )
    assert payload_of(done.entry_id) == {"a": 1}


def test_many_payloads_are_opened_with_one_question(django_assert_num_queries):
    record(*[event(f"l-{n}", subject=f"patient-{n % 5}", payload={"n": n}) for n in range(20)])
    rows = list(Payload.objects.all())
    with django_assert_num_queries(1):
        assert sorted(found.body for found in open_payloads(rows)) == sorted(b'{"n":%d}' % n for n in range(20))


def test_each_person_has_one_key_and_the_site_its_own():
    record(event("a"), event("b"), event("c", subject="patient-8"), event("d", subject=None, kind="import.started"))
    assert DataKey.objects.count() == 3
    assert DataKey.objects.filter(subject=None).count() == 1
    assert PayloadKey.objects.count() == 4


def test_a_payload_costs_no_more_round_trips_than_its_entry(django_assert_num_queries):
    record(event("first"))
    with transaction.atomic(), django_assert_num_queries(2):
        append(event("second"))


def test_a_key_made_in_a_transaction_that_is_rolled_back_is_not_taken_to_exist():
    with transaction.atomic():
        append(event())
        made = DataKey.objects.get().pk
        transaction.set_rollback(True)
    assert not DataKey.objects.exists()
    (done,) = record(event())
    assert DataKey.objects.get().pk != made
    assert payload_of(done.entry_id) == {"mean": "135.5 mm[Hg]"}


def test_writers_who_are_first_at_the_same_time_make_one_key():
    barrier, failed = threading.Barrier(6), []

    def write(n):
        try:
            barrier.wait(20)
            record(event(f"loop-{n}", subject="patient-9"))
        except Exception as err:  # noqa: BLE001  (shown below)
            failed.append(err)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert DataKey.objects.filter(subject__isnull=False).count() == 1
    assert len(open_payloads(list(Payload.objects.all()))) == 6


def test_the_second_writer_takes_its_own_key_when_the_first_rolls_back():
    held, go = threading.Event(), threading.Event()

    def first():
        try:
            with transaction.atomic():
                append(event("first", subject="patient-9"))
                held.set()
                go.wait(20)
                transaction.set_rollback(True)
        finally:
            connections.close_all()

    thread = threading.Thread(target=first)
    thread.start()
    held.wait(20)
    threading.Timer(0.3, go.set).start()
    (done,) = record(event("second", subject="patient-9"))
    thread.join(20)
    assert payload_of(done.entry_id) is not None
    assert DataKey.objects.count() == 1


def test_a_key_that_was_destroyed_takes_no_payload():
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_payloadkey VALUES (%s, %s, 'x')", [uuid4(), uuid4()])


# --- round the application, as its own role and as the owner --------------------------------------------------------


@pytest.mark.parametrize("role", ["app", "owner"])
def test_keys_are_not_changed_moved_or_taken_away_without_an_entry(role, app_db, owner_db):
    record(event("a"), event("b", subject="patient-8"))
    cursor = {"app": app_db, "owner": owner_db}[role]
    refused(cursor, "UPDATE audit_datakey SET wrapped = 'x'")
    refused(cursor, "UPDATE audit_datakey SET wrapped = wrapped, kek_id = kek_id")
    refused(cursor, "UPDATE audit_datakey SET kek_id = 'site-2', wrapped = wrapped")
    refused(cursor, "UPDATE audit_datakey SET destroyed_at = now(), wrapped = ''")
    refused(cursor, "UPDATE audit_datakey SET subject = repeat('0', 64)")
    refused(cursor, "DELETE FROM audit_datakey")
    refused(cursor, "DELETE FROM audit_payloadkey")
    refused(cursor, "UPDATE audit_payloadkey SET sealed = 'x'")
    refused(cursor, "TRUNCATE audit_payloadkey")
    refused(cursor, "TRUNCATE audit_datakey")
    assert len(open_payloads(list(Payload.objects.all()))) == 2


def test_an_entry_of_another_kind_or_about_another_payload_opens_no_way(app_db):
    (done, _) = record(event("a"), event("b", subject="patient-8"))
    name = str(done.payload_id)
    record(event(name, 1, kind="window.closed"), event(str(uuid4()), 1, kind="payload.shredded", reason_code="x"))
    refused(app_db, "DELETE FROM audit_payloadkey WHERE payload_id = %s", done.payload_id)


def test_every_guard_of_the_keys_holds_for_a_replica(owner_db):
    owner_db.execute(
        "SELECT tgname, tgenabled::text FROM pg_trigger"
        " WHERE tgrelid IN ('audit_datakey'::regclass, 'audit_payloadkey'::regclass) AND NOT tgisinternal"
    )
    guards = dict(owner_db.fetchall())
    assert len(guards) == 10
    assert set(guards.values()) == {"A"}


def _swap(owner_db, table, column, where):
    owner_db.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    owner_db.execute(
        f"UPDATE {table} t SET {column} = o.{column} FROM (SELECT * FROM {table}) o WHERE o.{where} <> t.{where}"
    )


@pytest.fixture
def two_people(owner_db):
    """Two payloads of two people, and the guards put back afterwards."""
    done = record(event("a"), event("b", subject="patient-8"))
    yield done
    from tests.audit.conftest import KEY_GUARDS

    for table, name, *_ in KEY_GUARDS:
        owner_db.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
    for name in ("audit_payload_no_change", "audit_payload_no_truncate"):
        owner_db.execute(f"ALTER TABLE audit_payload ENABLE ALWAYS TRIGGER {name}")


@pytest.mark.parametrize(
    ("table", "column", "by"),
    [
        ("audit_payload", "body", "id"),
        ("audit_payload", "dek_id", "id"),
        ("audit_payloadkey", "sealed", "payload_id"),
        ("audit_payloadkey", "dek_id", "payload_id"),
        ("audit_datakey", "wrapped", "id"),
    ],
)
def test_what_belongs_to_one_person_does_not_open_as_another(two_people, owner_db, table, column, by):
    """A database administrator swaps two rows; the application refuses to read either."""
    _swap(owner_db, table, column, by)
    for done in two_people:
        with pytest.raises(PayloadUnsound):
            payload_of(done.entry_id)


def test_a_key_given_to_another_person_does_not_open(two_people, owner_db):
    owner_db.execute("ALTER TABLE audit_datakey DISABLE TRIGGER USER")
    owner_db.execute(
        "DELETE FROM audit_datakey WHERE id = %s", [Payload.objects.get(id=two_people[1].payload_id).dek_id]
    )
    owner_db.execute("UPDATE audit_datakey SET subject = repeat('0', 64)")
    with pytest.raises(PayloadUnsound):
        payload_of(two_people[0].entry_id)


# --- the keys on disk -------------------------------------------------------------------------------------------------


def test_a_site_key_that_is_gone_is_named_and_not_made_anew(fresh_keys):
    (done,) = record(event())
    assert (fresh_keys / "site-1.kek").stat().st_mode & 0o777 == 0o600
    (fresh_keys / "site-1.kek").rename(fresh_keys.parent / "away")
    keyring.forget()
    with pytest.raises(keys.KeyLost, match=r"site-1\.kek"):
        payload_of(done.entry_id)
    with pytest.raises(keys.KeyLost, match=r"site-1\.kek"):
        record(event("new", subject="somebody-new"))
    assert not (fresh_keys / "site-1.kek").exists()
    (fresh_keys.parent / "away").rename(fresh_keys / "site-1.kek")
    assert payload_of(done.entry_id) is not None


def test_another_site_key_under_the_same_name_opens_nothing(fresh_keys):
    (done,) = record(event())
    (fresh_keys / "site-1.kek").write_bytes(sealing.fresh_key())
    keyring.forget()
    with pytest.raises(PayloadUnsound):
        payload_of(done.entry_id)
    (fresh_keys / "site-1.kek").write_bytes(b"short")
    keyring.forget()
    with pytest.raises(keys.KeyLost, match="not a site key"):
        payload_of(done.entry_id)


def test_the_key_in_the_clear_is_nowhere_in_the_database(fresh_keys, owner_db):
    record(event())
    with transaction.atomic(), connection.cursor() as cursor:
        key = key_for(cursor, DataKey.objects.get().subject).key
    owner_db.execute("SELECT string_agg(t::text, ' ') FROM audit_datakey t")
    stored = owner_db.fetchone()[0]
    assert key.hex() not in stored
    assert (fresh_keys / "site-1.kek").read_bytes().hex() not in stored
