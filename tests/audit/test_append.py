"""An event enters with the act it records, or not at all."""

import threading
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction

from audit import canonical, entries
from audit.domain import EventInvalid
from audit.kinds import UnknownKind
from audit.models import ObjectVersion, Payload, Pending
from audit.selectors import count_entries, next_version, payload_of
from audit.services import NotInTransaction, ObjectVersionTaken, VersionGap, append, keys
from audit.services.recording import LeafDiffers
from tests.audit.builders import event, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


def test_outside_a_transaction_nothing_is_recorded():
    with pytest.raises(NotInTransaction):
        append(event())
    assert count_entries() == 0


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"actor": None}, EventInvalid),
        ({"kind": "window.opened_again"}, UnknownKind),
        ({"payload": {"mean": 135.5}}, canonical.NotCanonical),
        ({"payload": {"mean": "x" * 70_000}}, canonical.NotCanonical),
    ],
)
def test_what_cannot_be_verified_cannot_be_recorded(bad, error):
    with pytest.raises(error), transaction.atomic():
        append(event(**bad))
    assert (Pending.objects.count(), Payload.objects.count(), ObjectVersion.objects.count()) == (0, 0, 0)


def test_the_entry_is_final_when_the_transaction_commits():
    (done,) = record(event())
    row = Pending.objects.get(entry_id=done.entry_id)
    assert bytes(row.leaf_hash) == done.leaf_hash == entries.leaf_hash(bytes(row.leaf))
    entry = entries.read_leaf(bytes(row.leaf), origin=keys.origin())
    assert entry["at"] == entries.stamp(done.at)
    assert entry["occurred_at"] == "2026-03-01T12:00:00.000000Z"
    assert payload_of(done.entry_id) == {"mean": "135.5 mm[Hg]"}
    assert payload_of(uuid4()) is None


def test_when_the_act_is_undone_so_is_its_entry():
    with transaction.atomic():
        append(event())
        transaction.set_rollback(True)
    assert (Pending.objects.count(), Payload.objects.count(), ObjectVersion.objects.count()) == (0, 0, 0)


def test_each_version_names_the_one_before_it():
    first, second = record(event(version=1), event(version=2))
    row = Pending.objects.get(entry_id=second.entry_id)
    assert bytes(row.prev) == first.leaf_hash
    assert next_version("loop", "loop-1") == 3
    assert next_version("loop", "loop-2") == 1


def test_a_version_cannot_be_skipped_or_taken_twice():
    record(event(version=1))
    with pytest.raises(VersionGap):
        record(event(version=3))
    with pytest.raises(ObjectVersionTaken):
        record(event(version=1))
    assert count_entries() == 1


def test_a_refused_version_leaves_the_transaction_usable():
    record(event(version=1))
    with transaction.atomic():
        with pytest.raises(ObjectVersionTaken), transaction.atomic():
            append(event(version=1))
        append(event("loop-2"))
    assert count_entries() == 2


def test_of_many_writers_of_one_version_exactly_one_is_recorded():
    barrier, results = threading.Barrier(6), []

    def write():
        try:
            barrier.wait(10)
            record(event(version=1))
            results.append("recorded")
        except ObjectVersionTaken:
            results.append("taken")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["recorded"] + ["taken"] * 5
    assert (Pending.objects.count(), Payload.objects.count(), ObjectVersion.objects.count()) == (1, 1, 1)


def test_looks_are_recorded_as_often_as_they_happen():
    record(*[event("p-1", None, kind="access.read", payload=None) for _ in range(3)])
    assert (Pending.objects.count(), ObjectVersion.objects.count()) == (3, 0)


def test_appending_takes_one_round_trip(django_assert_num_queries):
    record(event("warm"))
    record(event("warm", 2))
    with transaction.atomic(), django_assert_num_queries(3):
        append(event("measured"))
        append(event("measured", 2))
        append(event("p-1", None, kind="access.read", payload=None))


def test_the_leaf_the_database_made_is_the_one_an_entry_spells():
    """Whatever is said in it: the time, the id and the predecessor stand where the schema has them."""
    said = ',"at":"0001-01-01T00:00:00.000000Z","prev":"' + "0" * 64
    first, second = record(event(said, 1), event(said, 2, reason_code="agrees"))
    for done, prev in ((first, None), (second, first.leaf_hash)):
        row = Pending.objects.get(entry_id=done.entry_id)
        entry = entries.read_leaf(bytes(row.leaf), origin=keys.origin())
        assert (entry["id"], entry["object"]["id"], entry["at"]) == (str(done.entry_id), said, entries.stamp(done.at))
        assert entry["object"]["prev"] == (prev.hex() if prev else None)
        assert done.entry_id.version == 7
        assert done.entry_id.int >> 80 == int(done.at.timestamp() * 1000)


@pytest.mark.usefixtures("another_sha256")
def test_a_leaf_that_the_database_made_otherwise_does_not_commit():
    with pytest.raises(LeafDiffers):
        record(event())
    assert count_entries() == 0


def test_a_key_whose_maker_was_rolled_back_is_not_written_under():
    with transaction.atomic():
        append(event())
        append(event(version=2))
        transaction.set_rollback(True)
    (done,) = record(event())
    assert payload_of(done.entry_id) == {"mean": "135.5 mm[Hg]"}


def test_the_application_cannot_choose_the_transaction_number():
    with pytest.raises(Exception, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_pending (entry_id, leaf, leaf_hash, txid) VALUES (gen_random_uuid(), '', '', '1')"
        )
