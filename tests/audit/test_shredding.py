"""Shredding: the key goes beside an entry that says why, the log still verifies, and nobody goes round it."""

import os
import subprocess
import sys
import threading
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections, transaction

from audit.models import DataKey, Payload, PayloadKey
from audit.selectors import payload_of
from audit.services import append, data_keys, keys
from audit.services.holds import place_hold, release_hold
from audit.services.payloads import Shredded, open_payloads
from audit.services.shredding import Lawful, ShreddingRefused, holds_for, shred_payload, shred_person
from audit.services.verifying import verify_log
from tests.audit.builders import DR_LEE, JOB, NOON, event, first_bad, number, record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer", "owner"])

LAWFUL = Lawful("gdpr-art-17", "dr-noor")
HOW = {"lawful": LAWFUL, "by": JOB, "now": NOON}


def test_a_shredded_payload_is_a_value_and_its_entry_still_verifies():
    kept, gone = record(event("a"), event("b"))
    said = shred_payload(gone.payload_id, **HOW)
    assert isinstance(payload_of(gone.entry_id), Shredded)
    assert payload_of(kept.entry_id) == {"mean": "135.5 mm[Hg]"}
    assert payload_of(said.entry_id) == {"approver": "dr-noor", "legal_basis": "gdpr-art-17"}
    assert verify_log()[0].verified is True  # nothing is numbered yet
    number()
    report, _ = verify_log()
    assert (report.verified, report.shredded) == (True, 1)


def test_a_shredding_that_is_not_numbered_yet_raises_no_alarm():
    (gone,) = record(event("a"))
    number()
    shred_payload(gone.payload_id, **HOW)
    report, pending = verify_log()
    assert (report.verified, report.shredded, pending) == (True, 1, 1)


def test_a_person_is_shredded_as_a_whole_and_nobody_else():
    mine = record(*[event(f"l-{n}", subject="patient-7") for n in range(5)])
    (other,) = record(event("x", subject="patient-8"))
    done = shred_person("patient-7", **HOW)
    assert all(isinstance(payload_of(each.entry_id), Shredded) for each in mine)
    assert payload_of(other.entry_id) is not None
    assert payload_of(done.entry_id)["legal_basis"] == "gdpr-art-17"
    key = DataKey.objects.get(destroyed_at__isnull=False)
    assert bytes(key.wrapped) == b""
    number()
    report, _ = verify_log()
    assert (report.verified, report.shredded) == (True, 5)
    (later,) = record(event("later", subject="patient-7"))  # what comes afterwards has a key of its own
    assert payload_of(later.entry_id) is not None


def test_a_key_destroyed_elsewhere_opens_nothing_here_at_the_next_question(database_urls):
    """Another process shreds; this one has the key in its memory and does not use it."""
    (gone,) = record(event("a", subject=str(person := uuid4())))
    assert payload_of(gone.entry_id) is not None
    command = [sys.executable, "manage.py", "shred", "--person", str(person), "--basis", "law-1", "--approver", "a"]
    environment = os.environ | database_urls | {"AUDIT_ORIGIN": keys.origin()}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    assert isinstance(payload_of(gone.entry_id), Shredded)


def test_a_writer_with_the_key_in_hand_writes_nothing_that_cannot_be_opened():
    """Shredding waits for writers that hold the key, and a writer that comes after it finds the key gone."""
    record(event("before", subject="patient-9"))
    written, go, late = threading.Event(), threading.Event(), []

    def writer():
        try:
            with transaction.atomic():
                late.append(append(event("during", subject="patient-9")))
                written.set()
                go.wait(20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=writer)
    thread.start()
    written.wait(20)
    threading.Timer(0.5, go.set).start()
    shred_person("patient-9", **HOW)
    thread.join(20)
    assert isinstance(payload_of(late[0].entry_id), Shredded)  # it was written before, and went with the key
    number()
    assert first_bad() is None


def test_a_payload_sealed_under_a_key_destroyed_meanwhile_is_refused():
    """A process remembers whose key it met; it is destroyed elsewhere, and what is sealed under it is not written."""
    record(event("first", subject="patient-9"))
    record(event("before", subject="patient-9"))
    (remembered,) = [key.id for (_, who), key in data_keys._MET.items() if who == DataKey.objects.get().subject]
    thread = threading.Thread(target=_shred_elsewhere, args=("patient-9",))
    thread.start()
    thread.join(20)
    assert remembered in {key.id for key in data_keys._MET.values()}, "this process has not heard of it"
    (done,) = record(event("after", subject="patient-9"))
    after = Payload.objects.get(entry_id=done.entry_id)
    assert str(remembered) != after.dek_id, "sealed again, under the key that is alive"
    opened = open_payloads(list(Payload.objects.all()))
    assert [isinstance(each, Shredded) for each in opened].count(True) == 2


def test_the_database_itself_takes_no_payload_under_a_destroyed_key():
    record(event("before", subject="patient-9"))
    gone = PayloadKey.objects.get().dek_id
    shred_person("patient-9", **HOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        PayloadKey.objects.create(payload_id=uuid4(), dek_id=gone, sealed=b"x")


def _shred_elsewhere(subject):
    try:
        shred_person(subject, **HOW)
    finally:
        connections.close_all()


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"lawful": Lawful("", "a")}, "basis"),
        ({"lawful": Lawful("because I say so!", "a")}, "basis"),
        ({"lawful": Lawful("gdpr-art-17", " ")}, "approver"),
        ({"lawful": Lawful("gdpr-art-17", DR_LEE.id), "by": DR_LEE}, "approver"),
    ],
)
def test_without_a_basis_and_another_persons_approval_nothing_is_shredded(how, code):
    (kept,) = record(event("a"))
    for act in (lambda: shred_payload(kept.payload_id, **HOW | how), lambda: shred_person("patient-7", **HOW | how)):
        with pytest.raises(ShreddingRefused) as refusal:
            act()
        assert refusal.value.code == code
    assert payload_of(kept.entry_id) is not None


def test_what_is_not_there_was_shredded_before_or_speaks_of_the_log_is_refused_by_name():
    (gone,) = record(event("a"))
    said = shred_payload(gone.payload_id, **HOW)
    (founding,) = record(
        event("log", 1, kind="log.genesis", subject=None, payload={"origin": keys.origin(), "vkey": "x"})
    )
    for payload_id, code in (
        (uuid4(), "no-such-payload"),
        (gone.payload_id, "already-shredded"),
        (said.payload_id, "payload-of-the-log"),
        (founding.payload_id, "payload-of-the-log"),
    ):
        with pytest.raises(ShreddingRefused) as refusal:
            shred_payload(payload_id, **HOW)
        assert refusal.value.code == code
    with pytest.raises(ShreddingRefused, match="no-key"):
        shred_person("nobody", **HOW)


def test_under_a_legal_hold_nothing_is_shredded_and_the_hold_is_named():
    (kept,) = record(event("a"))
    held = DataKey.objects.get(subject__isnull=False).subject
    place_hold("litigation-2026-4", subject="patient-7", **HOW)
    for act in (lambda: shred_payload(kept.payload_id, **HOW), lambda: shred_person("patient-7", **HOW)):
        with pytest.raises(ShreddingRefused, match="legal-hold: litigation-2026-4"):
            act()
    assert payload_of(kept.entry_id) is not None
    release_hold("litigation-2026-4", **HOW)
    assert holds_for(held) == ()


def test_a_shredding_rolled_back_leaves_everything_as_it_was():
    (kept,) = record(event("a"))
    with transaction.atomic():
        shred_person("patient-7", **HOW)
        transaction.set_rollback(True)
    assert payload_of(kept.entry_id) is not None


# --- round it ---------------------------------------------------------------------------------------------------------


def test_an_entry_alone_without_taking_the_key_away_is_named():
    (kept,) = record(event("a"))
    record(event(str(kept.payload_id), None, kind="access.denied", reason_code="x", payload=None))
    forged = event(kind="payload.shredded", reason_code="law-1", subject=None, payload={"approver": "a"})
    record(_about(forged, "payload", str(kept.payload_id)))
    number()
    assert first_bad()[0] == "payload-not-shredded"


def test_a_key_taken_away_with_the_guards_off_is_named(owner_db):
    from tests.audit.conftest import KEY_GUARDS

    kept, gone = record(event("a"), event("b"))
    number()
    owner_db.execute("ALTER TABLE audit_payloadkey DISABLE TRIGGER USER")
    owner_db.execute("DELETE FROM audit_payloadkey WHERE payload_id = %s", [gone.payload_id])
    for table, name, *_ in KEY_GUARDS:
        owner_db.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
    assert first_bad() == ("payload-gone", 1, str(gone.entry_id))
    assert payload_of(kept.entry_id) is not None


def test_the_applications_role_takes_a_key_away_only_beside_its_entry(app_db):
    (gone,) = record(event("a"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no entry says"):
        app_db.execute("DELETE FROM audit_payloadkey")
    record(
        _about(
            event(kind="payload.shredded", reason_code="law-1", subject=None, payload={"approver": "a"}),
            "payload",
            str(gone.payload_id),
        )
    )
    app_db.execute("DELETE FROM audit_payloadkey WHERE payload_id = %s", [gone.payload_id])
    assert not PayloadKey.objects.filter(payload_id=gone.payload_id).exists()
    number()
    assert verify_log()[0].verified is True  # it is recorded who did it: that is all the rule asks


def _about(shown, of_type, of_id):
    from dataclasses import replace

    from audit.domain import ObjectRef

    return replace(shown, object=ObjectRef(of_type, of_id, 1))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_shreds_a_payload_and_says_which_entry(capsys):
    (gone,) = record(event("a"))
    call_command("shred", payload=str(gone.payload_id), basis="law-1", approver="dr-noor")
    assert "Shredded. Entry" in capsys.readouterr().out
    assert isinstance(payload_of(gone.entry_id), Shredded)
    with pytest.raises(CommandError, match="already-shredded") as refused:
        call_command("shred", payload=str(gone.payload_id), basis="law-1", approver="dr-noor")
    assert refused.value.returncode == 1
    with pytest.raises(CommandError, match="not an id") as refused:
        call_command("shred", person="patient seven", basis="law-1", approver="dr-noor")
    assert refused.value.returncode == 2
