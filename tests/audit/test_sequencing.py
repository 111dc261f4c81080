"""Positions without a gap, nobody passed by, nothing lost when the sequencer dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import psycopg
import pytest
from django.db import IntegrityError, connection, connections
from hypothesis import given
from hypothesis import strategies as st

from audit import entries, merkle, notes
from audit.models import Checkpoint, Entry, Pending, Tile, TreeState
from audit.selectors import RecordState, record_state, subtree_reader
from audit.services import keys, sequence_batch, sequence_until_empty, sequencing, signing
from audit.services.genesis import found_log
from audit.services.publishing import publish
from audit.services.verifying import verify_log
from tests.audit.builders import JOB, NOON, complete, event, first_bad, number, record, settle

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


def _positions() -> list[int]:
    return list(Entry.objects.order_by("position").values_list("position", flat=True))


def _insert_pending(cursor: psycopg.Cursor, name: str, version: int = 1, prev: bytes | None = None) -> bytes:
    """A pending row written by hand on another connection, so that the test holds its transaction."""
    given_event = event(name, version)
    entry = entries.build(
        given_event,
        entry_id=entries.fresh_id(NOON),
        at=NOON,
        prev=prev,
        tenant_key=keys.tenant_key(),
        payload=(entries.fresh_id(NOON), bytes(32)),
        software=entries.Software("1"),
    )
    leaf = entries.leaf_data(entry, origin=keys.origin())
    cursor.execute(
        "INSERT INTO audit_pending (entry_id, leaf, leaf_hash, prev) VALUES (%s, %s, %s, %s)",
        [entry["id"], leaf, entries.leaf_hash(leaf), prev],
    )
    return entries.leaf_hash(leaf)


def test_entries_get_contiguous_positions_and_their_pending_rows_go():
    record(*[event(f"a-{n}") for n in range(5)])
    assert sequence_until_empty() == 5
    record(event("b"))
    assert sequence_until_empty() == 1
    assert number() == 0
    assert _positions() == list(range(6))
    assert Pending.objects.count() == 0
    assert first_bad() is None


def test_the_checkpoint_is_signed_over_the_root_of_the_leaves():
    record(*[event(f"a-{n}") for n in range(3)])
    complete()
    leaves = [bytes(leaf) for leaf in Entry.objects.order_by("position").values_list("leaf_hash", flat=True)]
    key = notes.VerifierKey.parse(Checkpoint.objects.get().key_name)
    head = notes.open_checkpoint(bytes(Checkpoint.objects.get().note), origin=keys.origin(), keys=[key])
    assert (head.size, head.root) == (3, merkle.root(leaves))
    assert key == signing.first_key()


def _late_commit(url: str, poll) -> tuple[list, list]:
    """An older transaction commits after a younger one; `poll` runs before and after. What it took each time."""
    with psycopg.connect(url) as older, psycopg.connect(url, autocommit=True) as younger:
        _insert_pending(older.cursor(), "older")
        _insert_pending(younger.cursor(), "younger")
        before = poll()
        older.commit()
        settle()
        return before, poll()


def test_an_older_transaction_that_commits_later_is_not_passed_by(database_urls):
    before, after = _late_commit(database_urls["DATABASE_URL"], sequence_batch)
    assert (before, after) == (0, 2)
    assert list(Entry.objects.order_by("position").values_list("object_id", flat=True)) == ["older", "younger"]


def test_the_seeded_defect_of_polling_by_id_does_pass_it_by(database_urls):
    """The power check: the usual `id > last` loses the late row, so the test above can fail."""
    last = 0

    def poll_by_id() -> int:
        nonlocal last
        rows = list(Pending.objects.filter(id__gt=last).order_by("id").values_list("id", flat=True))
        last = rows[-1] if rows else last
        return len(rows)

    before, after = _late_commit(database_urls["DATABASE_URL"], poll_by_id)
    assert (before, after) == (1, 0)
    assert Pending.objects.count() == 2


def test_an_entry_waits_for_its_predecessor_in_a_younger_transaction(database_urls):
    """The older transaction wrote its second version after reading the younger one's first."""
    url = database_urls["DATABASE_URL"]
    with psycopg.connect(url) as older, psycopg.connect(url) as blocker, psycopg.connect(url) as younger:
        older.execute("SELECT pg_current_xact_id()")
        blocker.execute("SELECT pg_current_xact_id()")
        first = _insert_pending(younger.cursor(), "loop", 1)
        younger.commit()
        _insert_pending(older.cursor(), "loop", 2, first)
        older.commit()
        assert sequence_batch() == 0  # the second is settled, the first not yet: the second waits
        blocker.commit()
    assert number() == 2
    versions = list(Entry.objects.order_by("position").values_list("object_version", flat=True))
    assert versions == [1, 2]


def test_a_full_batch_that_waits_for_rows_beyond_it_does_not_stand_still(database_urls):
    url = database_urls["DATABASE_URL"]
    with psycopg.connect(url) as older, psycopg.connect(url) as younger:
        older.execute("SELECT pg_current_xact_id()")
        first = [_insert_pending(younger.cursor(), f"loop-{n}", 1) for n in range(3)]
        younger.commit()
        for n, prev in enumerate(first):
            _insert_pending(older.cursor(), f"loop-{n}", 2, prev)
        older.commit()
    assert sequence_until_empty(limit=2) == 6


@given(st.permutations(range(8)))
def test_whatever_the_order_every_row_follows_its_predecessor(order):
    chain = [bytes([n]) * 32 for n in range(8)]
    rows = [sequencing._Row(n, n, b"", chain[n], chain[n - 1] if n % 4 else None) for n in order]
    placed = [row.id for row in sequencing.in_order(rows, known=set())]
    assert sorted(placed) == list(range(8))
    assert all(placed.index(n) > placed.index(n - 1) for n in range(8) if n % 4)


def test_rows_whose_predecessor_is_nowhere_are_left_waiting():
    rows = [sequencing._Row(1, 1, b"", b"a" * 32, b"lost"), sequencing._Row(2, 2, b"", b"b" * 32, b"a" * 32)]
    assert sequencing.in_order(rows, known=set()) == []
    assert [row.id for row in sequencing.in_order(rows, known={b"lost"})] == [1, 2]


def test_several_sequencers_at_once_number_everything_once():
    record(*[event(f"a-{n}") for n in range(300)])
    barrier, done = threading.Barrier(4), []

    def work():
        try:
            barrier.wait(10)
            done.extend(sequence_batch(limit=17) for _ in range(40))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sequence_until_empty()
    assert sum(done) <= 300
    assert _positions() == list(range(300))
    assert first_bad() is None


def test_a_batch_that_dies_in_the_middle_leaves_the_log_as_it_was(owner_db):
    record(*[event(f"a-{n}") for n in range(10)])
    number(limit=4)
    owner_db.execute("ALTER TABLE audit_treestate ADD CONSTRAINT no_more CHECK (size < 5)")
    try:
        with pytest.raises(IntegrityError):
            number()
    finally:
        owner_db.execute("ALTER TABLE audit_treestate DROP CONSTRAINT no_more")
    assert (_positions(), Pending.objects.count()) == (list(range(4)), 6)
    sequence_until_empty()
    assert first_bad() is None


def test_without_the_signer_entries_are_numbered_and_signed_when_it_is_back():
    record(*[event(f"a-{n}") for n in range(10)])
    number(limit=4)

    class Gone:
        def state(self):
            raise signing.SignerUnreachable("the signer is gone")

        def sign(self, head, *, old, proof):
            raise NotImplementedError

    settle()
    assert sequence_batch() == 6
    with pytest.raises(signing.SignerUnreachable):
        publish(signer=Gone())
    report, _ = verify_log()
    assert (report.verified, report.signed, report.unsigned) == (True, 4, 6)
    publish()
    assert verify_log()[0].unsigned == 0


def test_a_sequencer_killed_while_it_works_loses_and_doubles_nothing(database_urls):
    """Killed with SIGKILL at odd moments while entries come in; the next one goes on where the last commit was."""
    environment = os.environ | database_urls | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _SEQUENCER_PROCESS, keys.keys_dir().as_posix()]
    written = 0
    for wait in (0.0, 0.03, 0.011):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(4):
            record(*[event(f"a-{written + n}") for n in range(40)])
            written += 40
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
    numbered_before = Entry.objects.count()
    sequence_until_empty()
    assert numbered_before > 0
    assert _positions() == list(range(written))
    assert first_bad() is None


_SEQUENCER_PROCESS = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django
django.setup()
from django.conf import settings
settings.AUDIT_KEYS_DIR = sys.argv[1]
from audit.services import sequence_batch
sequence_batch(limit=1)
print("ready", flush=True)
while True:
    sequence_batch(limit=7)
"""


def test_a_pending_row_changed_by_force_is_set_aside_by_name_and_the_others_go_on(owner_db, caplog):
    (done,) = record(event())
    owner_db.execute("ALTER TABLE audit_pending DISABLE TRIGGER audit_pending_no_change")
    owner_db.execute("UPDATE audit_pending SET leaf = leaf || ' '::bytea")
    owner_db.execute("ALTER TABLE audit_pending ENABLE ALWAYS TRIGGER audit_pending_no_change")
    record(event("another"))
    assert number() == 1
    assert str(done.entry_id) in caplog.text
    assert first_bad() == ("pending-hash", None, str(done.entry_id))


@pytest.mark.parametrize("leaf", [b"", b"{}", b"not of this log", entries.frame("x") + b"{}"])
def test_what_was_not_written_by_append_never_enters_the_log(app_db, leaf):
    app_db.execute(
        "INSERT INTO audit_pending (entry_id, leaf, leaf_hash) VALUES (gen_random_uuid(), %s, %s)",
        [leaf, entries.leaf_hash(leaf)],
    )
    record(event())
    assert number(limit=1) == 1
    assert Pending.objects.count() == 1
    assert first_bad()[0].startswith("pending-")


def test_waiting_for_a_transaction_that_never_ends_has_an_end(database_urls):
    with psycopg.connect(database_urls["DATABASE_URL"]) as open_one:
        _insert_pending(open_one.cursor(), "open")
        record(event())
        with pytest.raises(sequencing.StillHeld):
            sequence_until_empty(timeout_s=0.1)
        open_one.rollback()
    assert sequence_until_empty() == 1


def test_proofs_can_be_made_from_the_tiles():
    for n in range(3):
        record(*[event(f"a-{n}-{m}") for m in range(230)])
        sequence_until_empty()
    assert Tile.objects.count() == 2
    size, subtree = 690, subtree_reader()
    leaves = [bytes(leaf) for leaf in Entry.objects.order_by("position").values_list("leaf_hash", flat=True)]
    for index in (0, 255, 256, 511, 512, 689):
        proof = merkle.inclusion_proof(index, size, subtree)
        merkle.check_inclusion(index=index, size=size, leaf=leaves[index], proof=proof, root=merkle.root(leaves))
    assert merkle.consistency_proof(230, size, subtree) == merkle.consistency_proof(
        230, size, merkle.subtree_of(leaves)
    )
    with pytest.raises(LookupError):
        subtree(0, 1024)


def test_the_log_says_its_name_and_key_once():
    assert found_log(by=JOB, now=NOON) is True
    assert found_log(by=JOB, now=NOON) is False
    sequence_until_empty()
    assert list(Entry.objects.values_list("type", flat=True)) == ["log.genesis"]


def test_the_columns_repeat_what_the_leaf_says():
    (done,) = record(event())
    sequence_until_empty()
    row = Entry.objects.get(entry_id=done.entry_id)
    assert (row.type, row.at, row.occurred_at, row.actor_kind) == ("window.closed", done.at, NOON, "service")
    assert row.subject == entries.pseudonym("patient-7", tenant_key=keys.tenant_key())
    assert TreeState.objects.get().size == verify_log()[0].entries == 1


def test_the_state_of_the_record_tells_how_long_an_entry_has_waited():
    assert record_state() == RecordState(0, 0, None, 0, None)
    (done,) = record(event())
    state = record_state()
    assert (state.entries, state.pending, state.signed) == (0, 1, 0)
    assert abs(state.waiting_since - done.at) < timedelta(milliseconds=2)
    number()
    state = record_state()
    assert (state.entries, state.pending, state.waiting_since, state.signed) == (1, 0, None, 1)


def test_the_leader_holds_the_log_alone(sequencer_db):
    record(event())
    sequencer_db.execute("SELECT pg_advisory_lock(%s)", [sequencing.LEADER_LOCK])
    assert number() == 0
    sequencer_db.execute("SELECT pg_advisory_unlock(%s)", [sequencing.LEADER_LOCK])
    assert number() == 1
    assert connection.alias == "default"
