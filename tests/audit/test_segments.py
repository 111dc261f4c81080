"""A segment leaves the table of entries and everything about it can still be proved; nothing else leaves."""

import json
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from audit import merkle
from audit.bundles.selecting import Report, Selection
from audit.domain import ObjectRef, Purpose
from audit.models import Checkpoint, Detached, Entry, Segment
from audit.selectors import coverage, payload_of, record_state, recorded_at, subtree_reader
from audit.services import keys, sequence_until_empty
from audit.services.exporting import Handing, export_bundle
from audit.services.holds import place_hold, release_hold
from audit.services.publishing import Publisher, RecordDiffers, publish
from audit.services.receipts import receipts_of
from audit.services.segments import SegmentRefused, detach, seal
from audit.services.shredding import Lawful, shred_payload
from audit.services.verifying import Outside, verify_log
from tests.audit.builders import JOB, NOON, complete, event, record
from tests.audit.outside import verdict

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"]), pytest.mark.slow]
HOW = {"by": JOB, "now": NOON}
COURT = {"lawful": Lawful("court-1", "dr-noor"), **HOW}
DENIED = psycopg.errors.InsufficientPrivilege


def tomorrow():
    return timezone.now() + timedelta(days=1)


@pytest.fixture
def begun():
    """300 entries of 20 loops in the log, with a genesis, all under a signed checkpoint."""
    first = {"origin": keys.origin(), "vkey": _vkey()}
    genesis = event("x", kind="log.genesis", subject=None, payload=first)
    record(replace(genesis, object=ObjectRef("log", keys.origin(), 1)))
    done = []
    for version in range(1, 16):
        done += record(*[event(f"loop-{n}", version, subject=f"patient-{n}") for n in range(20)])
    complete()
    return done


def _vkey() -> str:
    from audit.services import signing

    return str(signing.first_key())


@pytest.fixture
def sealed(begun, tmp_path):
    """The first 256 of them sealed, and what seals them signed."""
    done = seal(until=tomorrow(), out=tmp_path, **HOW)
    complete()
    return done


@pytest.fixture
def detached(sealed, tmp_path):
    """And detached."""
    detach(1, archives=tmp_path, using="owner", **HOW)
    complete()
    return sealed


def test_a_segment_is_detached_and_everything_goes_on(detached, begun, tmp_path):
    assert (detached.start, detached.stop) == (0, 256)
    assert Entry.objects.filter(position__lt=256).values_list("type", flat=True).get() == "log.genesis"
    assert Detached.objects.count() == 255
    report, pending = verify_log()
    assert (report.verified, report.detached, pending) == (True, 255, 0), report.first_bad
    assert report.entries == record_state().entries
    # the chain of an object goes on over the cut, and a reader of proofs reaches behind it
    record(*[event(f"loop-{n}", 16, subject=f"patient-{n}") for n in range(20)])
    complete()
    size, root = Checkpoint.objects.order_by("-size").values_list("size", "root").first()
    subtree = subtree_reader()
    proof = merkle.inclusion_proof(7, size, subtree)
    merkle.check_inclusion(index=7, size=size, leaf=begun[6].leaf_hash, proof=proof, root=bytes(root))
    assert len(merkle.consistency_proof(100, size, subtree)) > 0
    assert Publisher().publish(signer=_never()).new is False  # a publisher from nothing begins at the anchor
    assert verify_log()[0].verified is True


def _never():
    """A signer that is not asked."""
    return


def test_what_was_detached_is_still_known_by_its_id(detached, begun, tmp_path):
    old = begun[3]
    assert recorded_at([old.entry_id])[old.entry_id] == old.at
    assert {str(each) for each in coverage([old.entry_id]).values()} == {"signed"}
    assert payload_of(old.entry_id) == {"mean": "135.5 mm[Hg]"}
    assert old.entry_id in receipts_of([old.entry_id])
    shred_payload(old.payload_id, **COURT)
    complete()
    assert verify_log()[0].verified is True
    assert verify_log(outside=Outside(archives=tmp_path))[0].verified is True
    with connections["owner"].cursor() as cursor:  # a row may name it, and its place is not given again
        cursor.execute("SELECT count(*) FROM audit_detached WHERE entry_id = %s", [old.entry_id])
        assert cursor.fetchone() == (1,)


def test_the_archive_is_a_bundle_that_verifies_offline(sealed, tmp_path):
    code, said = verdict(tmp_path / sealed.archive)
    assert (code, said["entries"]["included"] >= 256) in {(0, True), (3, True)}, said


def test_from_the_archives_everything_is_verified_from_the_first_entry(detached, tmp_path):
    report, _ = verify_log(outside=Outside(archives=tmp_path))
    assert (report.verified, report.detached) == (True, 0), report.first_bad
    out = StringIO()
    call_command("verify_audit", archives=tmp_path, json=True, stdout=out)
    assert json.loads(out.getvalue())["verified"] is True
    (tmp_path / detached.archive).unlink()
    with pytest.raises(CommandError, match="archive-missing"):
        call_command("verify_audit", archives=tmp_path)


def test_an_export_counts_what_was_detached(detached, tmp_path):
    done = export_bundle(
        Selection(Report.EVERYTHING),
        may_read=lambda _: True,
        out=tmp_path / "all.zip",
        handing=Handing(Purpose.AUDIT, "auditor"),
        **HOW,
    )
    left = {(each.what, each.why): each.n for each in done.manifest.left_out}
    assert left["entries", f"detached:{detached.archive}"] == 255
    assert (done.manifest.kind, done.manifest.complete_objects) == ("period", False)
    assert verdict(tmp_path / "all.zip")[0] in (0, 3)


def test_a_second_segment_follows_the_first(detached, tmp_path):
    record(*[event(f"more-{n}") for n in range(260)])
    complete()
    second = seal(until=tomorrow(), out=tmp_path, **HOW)
    complete()
    assert (second.number, second.start, second.stop % 256) == (2, 256, 0)
    detach(2, archives=tmp_path, using="owner", **HOW)
    complete()
    assert list(Segment.objects.order_by("number").values_list("start", "stop")) == [(0, 256), (256, 512)]
    for archives in (None, tmp_path):
        report, _ = verify_log(outside=Outside(archives=archives))
        assert report.verified is True, report.first_bad


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused(code: str, act) -> None:
    with pytest.raises(SegmentRefused) as refusal:
        act()
    assert refusal.value.code == code


def off(tmp_path, number=1):
    return lambda: detach(number, archives=tmp_path, using="owner", **HOW)


def test_what_is_not_sealed_not_there_or_changed_is_not_detached(begun, tmp_path):
    refused("not-sealed", off(tmp_path))
    sealed = seal(until=tomorrow(), out=tmp_path, **HOW)
    refused("not-sealed", off(tmp_path))  # its entry has no place yet
    complete()
    refused("not-sealed", off(tmp_path, 2))
    refused("archive-missing", off(tmp_path / "elsewhere"))
    path = tmp_path / sealed.archive
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    refused("archive-differs", off(tmp_path))
    path.write_bytes(good)
    assert Entry.objects.filter(position__lt=256).count() == 256
    off(tmp_path)()
    refused("already-detached", off(tmp_path))


def test_what_is_not_signed_is_neither_sealed_nor_detached(begun, tmp_path):
    refused("nothing-to-seal", lambda: seal(until=timezone.now() - timedelta(days=400), out=tmp_path, **HOW))
    seal(until=tomorrow(), out=tmp_path, **HOW)
    sequence_until_empty()  # numbered, and nobody has signed it
    refused("not-covered", off(tmp_path))
    publish()
    off(tmp_path)()


def test_an_archive_lying_about_an_entry_is_found_before_it_is_recorded(begun, tmp_path, monkeypatch):
    """The bundle is written from rows of which one was changed under the guards' feet."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_no_change")
        cursor.execute(
            "UPDATE audit_entry SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'close-windows',"
            " 'close-nothings'), 'UTF8') WHERE position = 9"
        )
        cursor.execute("ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_no_change")
    refused("archive-differs", lambda: seal(until=tomorrow(), out=tmp_path, **HOW))


def test_a_hold_on_anybody_in_it_keeps_a_segment_here(sealed, tmp_path, owner_db):
    place_hold("suit-1", subject="patient-3", **COURT)
    refused("legal-hold", off(tmp_path))
    with pytest.raises(DENIED, match="under legal hold: suit-1"):
        owner_db.execute(*_segment_row(sealed))
    release_hold("suit-1", **COURT)
    place_hold("suit-2", subject="nobody-here", **COURT)
    off(tmp_path)()


def _segment_row(sealed, **other):
    said = {"number": 1, "start": 0, "stop": 256, "root": sealed.root, "archive_sha256": sealed.archive_sha256} | other
    entry = Entry.objects.filter(type="segment.sealed").order_by("-position").first()
    statement = (
        "INSERT INTO audit_segment (number, start, stop, root, hashes, archive, archive_sha256, entry_id)"
        " VALUES (%s, %s, %s, %s, '', 'x', %s, %s)"
    )
    return statement, [*said.values(), entry.entry_id]


def test_even_the_owner_detaches_only_what_was_sealed_so(sealed, owner_db):
    for other in ({"stop": 512}, {"start": 1}, {"number": 2}, {"root": bytes(32)}, {"archive_sha256": "0" * 64}):
        with pytest.raises(DENIED):
            owner_db.execute(*_segment_row(sealed, **other))
    with pytest.raises(DENIED, match="only grows"):
        owner_db.execute("DELETE FROM audit_entry WHERE position = 5")
    with pytest.raises(DENIED, match="not one of a segment"):
        owner_db.execute(_INDEX)
    with owner_db.connection.transaction(force_rollback=True):
        owner_db.execute(*_segment_row(sealed))
        with pytest.raises(DENIED, match="not one of a segment"), owner_db.connection.transaction():
            owner_db.execute(
                _INDEX.replace(
                    "SELECT entry_id, position, leaf_hash, type", "SELECT entry_id, position, leaf_hash, 'x'"
                )
            )
        with pytest.raises(DENIED, match="not one of a segment"), owner_db.connection.transaction():
            owner_db.execute(_INDEX + " AND position = 0")  # the genesis stays
        owner_db.execute(_INDEX + " AND position = 5")
        owner_db.execute("DELETE FROM audit_entry WHERE position = 5")
        with pytest.raises(DENIED, match="only grows"), owner_db.connection.transaction():
            owner_db.execute("DELETE FROM audit_entry WHERE position = 6")


_INDEX = (
    "INSERT INTO audit_detached (entry_id, position, leaf_hash, type, outcome, at)"
    " SELECT entry_id, position, leaf_hash, type, outcome, at FROM audit_entry WHERE position < 256"
)


def test_the_application_detaches_nothing(sealed, tmp_path, app_db, sequencer_db):
    refused("not-the-owner", lambda: detach(1, archives=tmp_path, **HOW))
    for cursor in (app_db, sequencer_db):
        for statement in (_segment_row(sealed), (_INDEX,), ("DELETE FROM audit_entry WHERE position = 5",)):
            with pytest.raises(DENIED, match="permission denied"):
                cursor.execute(*statement)


def test_what_left_does_not_come_again(detached, begun, sequencer_db):
    gone = begun[3]
    columns = "leaf, type, at, occurred_at, actor_kind, actor_id, object_type, object_id, outcome"
    again = (
        f"INSERT INTO audit_entry (position, entry_id, leaf_hash, {columns})"
        f" SELECT %s, %s, %s, {columns} FROM audit_entry WHERE position = 256"
    )
    for position, entry_id in ((4, "00000000-0000-7000-8000-000000000000"), (9999, gone.entry_id)):
        with pytest.raises(psycopg.errors.UniqueViolation, match="was detached"):
            sequencer_db.execute(again, [position, entry_id, bytes(32)])


# --- tampering and killing --------------------------------------------------------------------------------------------


def test_a_changed_hash_of_what_left_is_found(detached, owner_db):
    owner_db.execute("ALTER TABLE audit_detached DISABLE TRIGGER USER")
    try:
        owner_db.execute("UPDATE audit_detached SET leaf_hash = sha256('x') WHERE position = 77")
    finally:
        for _, name, *_ in _guards("audit_detached"):
            owner_db.execute(f"ALTER TABLE audit_detached ENABLE ALWAYS TRIGGER {name}")
    bad = verify_log()[0].first_bad
    assert (bad.code, bad.position) == ("tile", 77)


def test_a_changed_anchor_is_found_and_nothing_is_signed_over_it(detached, owner_db):
    owner_db.execute("ALTER TABLE audit_segment DISABLE TRIGGER USER")
    try:
        owner_db.execute("UPDATE audit_segment SET hashes = sha256('x')")
    finally:
        for _, name, *_ in _guards("audit_segment"):
            owner_db.execute(f"ALTER TABLE audit_segment ENABLE ALWAYS TRIGGER {name}")
    assert verify_log()[0].first_bad.code == "tree-state-hashes"
    record(event("later"))
    with pytest.raises(RecordDiffers):
        complete()


def _guards(table):
    from tests.audit.conftest import SEGMENT_GUARDS

    return [guard for guard in SEGMENT_GUARDS if guard[0] == table]


def test_a_kill_in_the_middle_leaves_everything_and_it_can_be_done_again(sealed, tmp_path, owner_db, database_urls):
    environment = os.environ | database_urls | {"AUDIT_ORIGIN": keys.origin()}
    command = [sys.executable, "manage.py", "detach_segment", "1", "--archives", str(tmp_path)]
    with owner_db.connection.transaction():
        owner_db.execute("LOCK TABLE audit_detached IN SHARE ROW EXCLUSIVE MODE")  # it stops there, half done
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for_lock(owner_db)
        running.kill()
        running.wait(20)
    assert (Segment.objects.count(), Detached.objects.count()) == (0, 0)
    assert Entry.objects.filter(position__lt=256).count() == 256
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert Detached.objects.count() == 255
    complete()
    assert verify_log()[0].verified is True


def _wait_for_lock(owner_db) -> None:
    waited = threading.Event()
    for _ in range(400):
        owner_db.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_detached'::regclass")
        if owner_db.fetchone()[0]:
            return
        waited.wait(0.1)
    raise AssertionError("it never came to the lock")


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_name_what_they_refuse(begun, tmp_path):
    for until, words in (("soon", "not an ISO"), ("2026-01-01", "zone")):
        with pytest.raises(CommandError, match=words) as refusal:
            call_command("seal_segment", until=until, out=tmp_path)
        assert refusal.value.returncode == 2
    with pytest.raises(CommandError, match="nothing-to-seal"):
        call_command("seal_segment", until="2020-01-01T00:00:00+00:00", out=tmp_path)
    out = StringIO()
    call_command("seal_segment", until=tomorrow().isoformat(), out=tmp_path, stdout=out)
    assert "Segment 1 is sealed: entries 0 to 255" in out.getvalue()
    assert zipfile.is_zipfile(next(tmp_path.glob("segment-000001-0-256.zip")))
    with pytest.raises(CommandError, match="archive-there"):
        call_command("seal_segment", until=tomorrow().isoformat(), out=tmp_path)
    with pytest.raises(CommandError, match="not-sealed"):
        call_command("detach_segment", 1, archives=tmp_path)
