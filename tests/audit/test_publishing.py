"""The publisher: what is signed was recomputed from what is stored; witnesses see it; a shorter log is not served."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audit import notes, witness_policy
from audit.bundles.selecting import Report, Selection
from audit.domain import Purpose
from audit.models import Checkpoint, Cosignature, Entry
from audit.selectors import (
    Coverage,
    WitnessStanding,
    coverage,
    record_state,
    releases_may_go_on,
    witness_state,
)
from audit.services import keys, publishing, sequence_until_empty, signing, witnessing
from audit.services.exporting import Handing, export_bundle
from audit.services.genesis import found_log
from audit.services.publishing import Publisher, publish
from audit.services.verifying import verify_log
from audit.services.witnessing import Witnesses
from audit.witness.judging import Witness
from audit.witness.server import Server
from audit.witness.store import Store
from config import evidence
from tests.audit.builders import DR_LEE, JOB, NOON, cut_back, event, first_bad, number, record
from tests.audit.outside import verdict
from tests.signers import InProcess, core

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "sequencer"])


@pytest.fixture
def signer(tmp_path):
    """A signer that remembers for the length of the test."""
    return InProcess(core(tmp_path / "memory.json"))


def grow(count: int, name: str = "a") -> list:
    """So many new entries, numbered."""
    done = record(*[event(f"{name}-{time.monotonic_ns()}-{n}") for n in range(count)])
    sequence_until_empty()
    return done


@contextmanager
def a_witness(folder: Path, name: str = "one"):
    """A real witness on a port of this machine; its line of the policy file."""
    folder.mkdir(exist_ok=True)
    key, store = notes.Ed25519PrivateKey.generate(), Store(folder / "w.sqlite3")
    full = f"witness.example/{name}"
    vkey = notes.WitnessKey(full, key.public_key().public_bytes_raw())
    store.create(str(vkey))
    witness = Witness(name=full, key=key, logs=[signing.first_key()], store=store)
    server = Server(("127.0.0.1", 0), witness, clock=lambda: int(time.time()))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"witness {name} {vkey} http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def policy(settings, tmp_path):
    """A function that writes the policy file and reads it back."""

    def write(*lines: str):
        path = tmp_path / "policy"
        path.write_text("\n".join([f"log {signing.first_key()}", *lines, ""]))
        settings.AUDIT_WITNESS_POLICY = str(path)
        return witness_policy.parse(path.read_bytes())

    return write


def test_what_grew_is_signed_once_from_the_head_the_signer_remembers(signer):
    publisher = Publisher()
    assert publisher.publish(signer=signer).size == 0
    for size in (3, 4, 300):
        grow(size - record_state().entries)
        done = publisher.publish(signer=signer)
        assert (done.size, done.new) == (size, True)
        assert publisher.publish(signer=signer).new is False
    assert list(Checkpoint.objects.order_by("size").values_list("size", flat=True)) == [3, 4, 300]
    assert verify_log()[0].unsigned == 0


def test_a_new_publisher_goes_on_where_the_last_one_was(signer):
    grow(5)
    publish(signer=signer)
    grow(5)
    assert publish(signer=signer).size == 10
    assert first_bad() is None


def test_a_signature_that_was_not_stored_in_time_is_not_missed(signer):
    """Killed between the signer's answer and the store: the signer is ahead of the checkpoints, not of the log."""
    grow(5)
    signer.sign(Publisher()._newest("audit_treestate"), old=0, proof=())
    grow(2)
    assert publish(signer=signer).size == 7
    assert first_bad() is None


SPOILT = {
    "a leaf": "UPDATE audit_entry SET leaf = set_byte(leaf, 90, (get_byte(leaf, 90) + 1) % 128) WHERE position = 270",
    "a leaf hash": "UPDATE audit_entry SET leaf_hash = sha256('x') WHERE position = 270",
    "an old leaf hash": "UPDATE audit_entry SET leaf_hash = sha256('x') WHERE position = 3",
    "a row": "DELETE FROM audit_entry WHERE position = 271",
    "a tile": "UPDATE audit_tile SET hashes = set_byte(hashes, 9, (get_byte(hashes, 9) + 1) % 256)",
    "a tile's root": "UPDATE audit_tile SET root = sha256('x')",
    "the tree's root": "UPDATE audit_treestate SET root = sha256('x') WHERE size > 200",
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_flipped_bit_in_the_store_stops_the_log_instead_of_being_signed(log, signer, what):
    grow(265)
    log.execute(SPOILT[what])
    with pytest.raises(publishing.RecordDiffers):
        publish(signer=signer)
    assert Checkpoint.objects.count() == 3
    assert signer.state().size == 0


def test_what_the_publisher_would_sign_without_looking_is_the_defect_it_looks_for(log, signer):
    """The power check: asked to sign the stored root as it stands, the signer does; nothing else would have said no."""
    grow(5)
    log.execute("UPDATE audit_treestate SET root = sha256('x') WHERE size > 12")
    assert signer.sign(Publisher()._newest("audit_treestate"), old=0, proof=())


def test_an_older_copy_of_the_database_gets_no_signature(log, signer):
    publish(signer=signer)
    grow(8)
    publish(signer=signer)
    cut_back(log, 8)
    log.execute("DELETE FROM audit_checkpoint")
    with pytest.raises(publishing.SignerAhead, match="20 entries, 8 are here"):
        publish(signer=signer)


def test_a_log_rewritten_up_to_the_same_size_gets_no_signature(log, signer):
    log.execute("DELETE FROM audit_checkpoint")
    publish(signer=signer)
    cut_back(log, 0)
    grow(12, "forged")
    with pytest.raises(signing.SignerRefused, match="another-root"):
        publish(signer=signer)
    grow(1, "forged")
    with pytest.raises(signing.SignerRefused, match="proof"):
        publish(signer=signer)


def test_a_signer_with_another_key_is_not_believed(tmp_path):
    from audit.signer import Core, Memory

    grow(2)
    stranger = Core(keys.origin(), [notes.Ed25519PrivateKey.generate()], Memory(tmp_path / "m", keys.origin()))
    with pytest.raises(publishing.SignerUnknown):
        publish(signer=InProcess(stranger))
    assert Checkpoint.objects.count() == 0


# --- witnesses --------------------------------------------------------------------------------------------------------


def test_witnesses_cosign_what_grows_and_their_lines_verify(signer, policy, tmp_path):
    with a_witness(tmp_path / "1", "one") as one, a_witness(tmp_path / "2", "two") as two:
        asked = Witnesses.of(policy(one, two, "group both 2 one two", "quorum both"))
        publisher = Publisher()
        for size in (4, 9):
            first, *_ = grow(size - record_state().entries)
            assert coverage([first.entry_id]) == {first.entry_id: Coverage.NUMBERED}
            done = publisher.publish(signer=signer, witnesses=asked)
            assert (set(done.cosigned), done.failed) == ({"one", "two"}, ())
            assert coverage([first.entry_id]) == {first.entry_id: Coverage.WITNESSED}
        state = witness_state()
        assert (state.state, state.covered_size, state.quorum_text) == (WitnessStanding.CURRENT, 9, "2 of 2")
        report, _ = verify_log()
        assert (report.verified, report.cosigned) == (True, 9)
        assert publisher.publish(signer=signer, witnesses=asked).cosigned == ()


def test_a_witness_that_is_ahead_of_what_we_thought_says_so_and_is_asked_again(signer, policy, tmp_path):
    with a_witness(tmp_path / "1") as one:
        asked = policy(one, "quorum one")
        grow(4)
        publish(signer=signer, witnesses=Witnesses.of(asked))
        grow(4)
        fresh = Witnesses.of(asked)
        fresh.clients[0].known_size = 0  # its 409 names 4
        assert publish(signer=signer, witnesses=fresh).cosigned == ("one",)


def test_what_was_witnessed_is_exported_as_witnessed_though_the_nearest_checkpoint_was_not(signer, policy, tmp_path):
    publisher = Publisher()
    found_log(by=JOB, now=NOON)
    grow(3, "early")
    publisher.publish(signer=signer, witnesses=Witnesses.of(policy("quorum none")))
    with a_witness(tmp_path / "1") as one:
        grow(2, "later")
        publisher.publish(signer=signer, witnesses=Witnesses.of(policy(one, "quorum one")))
    grow(2, "last")
    publisher.publish(signer=signer, witnesses=None)
    first = Entry.objects.filter(object_id__startswith="early").order_by("position").first()
    for selection, code in (
        (Selection(Report.DECISION, objects=(("loop", first.object_id),)), 0),
        (Selection(Report.EVERYTHING), 3),  # the newest entries are under no witness's word, and that is said
    ):
        out = tmp_path / f"{selection.kind}.zip"
        handing = Handing(Purpose.AUDIT, recipient="The auditor")
        export_bundle(selection, may_read=lambda _: True, by=DR_LEE, now=NOON, out=out, handing=handing)
        status, said = verdict(out, one, "quorum one")
        assert (status, said["entries"]["unwitnessed"] > 0) == (code, code == 3), said


def test_a_cosignature_changed_in_the_store_is_named(signer, policy, tmp_path, owner_db):
    with a_witness(tmp_path / "1") as one:
        grow(4)
        publish(signer=signer, witnesses=Witnesses.of(policy(one, "quorum one")))
        line = bytes(Cosignature.objects.get().line)
        bent = line[:-6] + (b"A" if line[-6:-5] != b"A" else b"B") + line[-5:]
        owner_db.execute("ALTER TABLE audit_cosignature DISABLE TRIGGER USER")
        owner_db.execute("UPDATE audit_cosignature SET line = %s", [bent])
        owner_db.execute("ALTER TABLE audit_cosignature ENABLE ALWAYS TRIGGER audit_cosignature_no_change")
        owner_db.execute("ALTER TABLE audit_cosignature ENABLE ALWAYS TRIGGER audit_cosignature_no_truncate")
        assert first_bad()[0] == "checkpoint-cosignature"


class Odd(BaseHTTPRequestHandler):
    """A witness that answers as the test says."""

    answer = (200, "text/plain", b"")
    slow = 0.0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, body = self.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for part in range(0, len(body), 1000):
            self.wfile.write(body[part : part + 1000])
            time.sleep(self.slow)

    do_GET = do_POST  # noqa: N815  (the server's own naming)

    def log_message(self, *_):
        """Nothing."""


@contextmanager
def odd(answer, slow=0.0):
    handler = type("ThisOdd", (Odd,), {"answer": answer, "slow": slow})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        key = notes.WitnessKey(
            "witness.example/odd", notes.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        )
        yield f"witness odd {key} http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


ODD = {
    "status-403": (403, "text/plain", b"no"),
    "status-404": (404, "text/plain", b"no"),
    "status-422": (422, "text/plain", b"no"),
    "status-500": (500, "text/html", b"oh"),
    "no-cosignature": (200, "text/plain", b""),
    "bad-cosignature": (200, "text/plain", b"nonsense\n"),
    "bad-size": (409, "text/x.tlog.size", b"many\n"),
    "size-again": (409, "text/x.tlog.size", b"1\n"),
    "status-409": (409, "text/plain", b"1\n"),
    "too-long": (200, "text/plain", b"x" * 20_000),
}


@pytest.mark.parametrize("code", ODD)
def test_an_odd_answer_is_told_by_name_and_the_checkpoint_stands(signer, policy, code):
    with odd(ODD[code]) as line:
        grow(3)
        done = publish(signer=signer, witnesses=Witnesses.of(policy(line, "quorum odd")))
        assert (done.new, done.cosigned, done.failed) == (True, (), (("odd", code),))
    assert Cosignature.objects.count() == 0


def test_a_slow_witness_takes_five_seconds_at_most_and_is_then_left_alone(signer, policy, monkeypatch):
    monkeypatch.setattr(witnessing, "EXCHANGE_S", 0.3)
    with odd((200, "text/plain", b"x" * 15_000), slow=0.1) as line:
        grow(3)
        asked = Witnesses.of(policy(line, "quorum odd"))
        assert publish(signer=signer, witnesses=asked).failed == (("odd", "too-slow"),)
        assert publish(signer=signer, witnesses=asked).failed == (("odd", "paused"),)


@pytest.mark.parametrize("ours", [True, False])
def test_a_witness_that_has_seen_more_stops_the_house(log, signer, policy, tmp_path, settings, ours):
    settings.EMBEDDED_WITNESS = ours
    with a_witness(tmp_path / "1") as one:
        publish(signer=signer, witnesses=Witnesses.of(policy(one, "quorum one")))
        assert evidence.refusal() is None
        cut_back(log, 8)
        assert "seen 12 entries; only 8 are here" in (evidence.refusal() or "")
        grow(4)


def test_our_own_witness_is_waited_for_and_then_said_once_to_be_silent(policy, caplog, settings, monkeypatch):
    monkeypatch.setattr(evidence, "WITNESS_S", 0.4)
    settings.EMBEDDED_WITNESS = True
    with odd((500, "text/plain", b"")) as line:
        pass
    policy(line, "quorum odd")
    assert evidence.refusal() is None
    assert caplog.text.count("could not be asked") == 1


def test_a_witness_that_has_seen_more_stops_the_publisher_and_the_start(log, signer, policy, tmp_path):
    with a_witness(tmp_path / "1") as one:
        asked = policy(one, "quorum one")
        publish(signer=signer, witnesses=Witnesses.of(asked))
        assert witnessing.refuse_shorter_log() == []
        cut_back(log, 8)
        with pytest.raises(witnessing.LogShorterThanWitnessed, match="seen 12 entries; only 8 are here"):
            witnessing.refuse_shorter_log()
        for command in ("run_sequencer", "run_publisher"):
            with pytest.raises(CommandError, match="Nothing is served") as refused:
                call_command(command, "--once")
            assert refused.value.returncode == 3
        grow(6, "grown-past")
        with pytest.raises(witnessing.LogShorterThanWitnessed, match="another log of 12 entries"):
            witnessing.refuse_shorter_log()
        grow(1)


def test_a_witness_that_cannot_be_reached_is_a_warning(policy, caplog, settings):
    with odd((500, "text/plain", b"")) as line:
        pass
    policy(line, "quorum odd")
    assert witnessing.refuse_shorter_log() == ["odd"]
    assert "could not be asked" in caplog.text
    settings.AUDIT_WITNESS_POLICY, settings.AUDIT_WITNESS_POLICY_OURS = "/nowhere/policy", False
    with pytest.raises(CommandError, match="policy file"):
        call_command("run_publisher", "--once")


# --- how far the witnesses are ----------------------------------------------------------------------------------------


def test_behind_after_a_minute_and_stale_after_fifteen(policy):
    assert witness_state().state is WitnessStanding.NONE
    with odd((500, "text/plain", b"")) as line:
        policy(line, "quorum odd")
    assert witness_state().state is WitnessStanding.CURRENT
    (done,) = record(event())
    for numbered in (False, True):
        if numbered:
            number()
        for seconds, expected in ((0, "current"), (59, "current"), (61, "behind"), (899, "behind"), (901, "stale")):
            now = done.at + timedelta(seconds=seconds)
            state = witness_state(now)
            assert (state.state, state.covered_size) == (expected, 0)
            assert abs(state.behind_since - done.at) < timedelta(milliseconds=2)
            assert releases_may_go_on(now) is (expected != "stale")


def test_a_quorum_of_two_is_not_met_by_one(signer, policy, tmp_path):
    with a_witness(tmp_path / "1", "one") as one, odd((500, "text/plain", b"")) as other:
        asked = policy(one, other, "group both all one odd", "quorum both")
        (done,) = grow(1)
        publish(signer=signer, witnesses=Witnesses.of(asked))
    state = witness_state(done.at + timedelta(minutes=16))
    assert (state.state, state.covered_size, state.quorum_text) == (WitnessStanding.STALE, 0, "1 of 2")
    assert coverage([done.entry_id]) == {done.entry_id: Coverage.SIGNED}


def test_without_a_readable_policy_nothing_is_released(settings):
    assert releases_may_go_on() is True
    settings.AUDIT_WITNESS_POLICY, settings.AUDIT_WITNESS_POLICY_OURS = "/nowhere/policy", False
    assert releases_may_go_on() is False


def test_an_entry_not_numbered_yet_is_pending():
    (done,) = record(event())
    assert coverage([done.entry_id]) == {done.entry_id: Coverage.PENDING}


# --- as programs ------------------------------------------------------------------------------------------------------


def test_once_publishes_and_stops(log):
    grow(2)
    out = StringIO()
    call_command("run_publisher", "--once", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {
        "size": 14, "new": True, "cosigned": [], "failed": {}, "timestamp": "",
    }  # fmt: skip


_PROGRAM = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django
django.setup()
from django.conf import settings
settings.AUDIT_KEYS_DIR = sys.argv[1]
from django.core.management import call_command
call_command("run_publisher")
"""


def test_signer_and_publisher_killed_at_odd_moments_leave_the_log_whole(database_urls, settings):
    """SIGKILL to either while entries come in; afterwards everything is signed, in one history, with one key."""
    place = Path(tempfile.mkdtemp(prefix="pub"))
    settings.AUDIT_KEYS_DIR, settings.AUDIT_SIGNER = place / "keys", ""
    settings.AUDIT_SIGNER_SOCKET, settings.AUDIT_SIGNER_OURS = str(place / "s"), True
    keys._kept.cache_clear()
    environment = os.environ | database_urls | {
        "PYTHONPATH": os.pathsep.join(sys.path), "AUDIT_SIGNER_SOCKET": str(place / "s"),
    }  # fmt: skip
    origin = keys.origin()
    commands = {
        "signer": signing.command(),
        "publisher": [sys.executable, "-c", _PROGRAM, str(place / "keys")],
    }
    try:
        record(event("first"))  # keys are drawn before anybody is killed
        signing.first_key()
        start = {
            name: lambda command=command: subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            for name, command in commands.items()
        }
        running = {name: begin() for name, begin in start.items()}
        deadline = time.monotonic() + 60
        while not Checkpoint.objects.exists():  # each of them works before the first is killed
            grow(1)
            assert time.monotonic() < deadline
            time.sleep(0.1)
        first = record_state().entries
        for round_ in range(6):
            grow(7)
            time.sleep(0.35)
            victim = ("signer", "publisher")[round_ % 2]
            running[victim].send_signal(signal.SIGKILL)
            running[victim].wait(20)
            running[victim] = start[victim]()
        deadline = time.monotonic() + 60
        while verify_log()[0].unsigned:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        report, _ = verify_log()
        assert (report.verified, report.entries, origin) == (True, first + 42, keys.origin())
        assert report.checkpoints > 1
    finally:
        for process in running.values():
            process.kill()
            process.wait(20)
        keys._kept.cache_clear()
