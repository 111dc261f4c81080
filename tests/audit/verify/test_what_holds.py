"""Good bundles are called good, and what they do not cover is counted: README 10."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import Log, Passkey, note, usual, zipped

ROOT = Path(__file__).resolve().parents[3]


def test_everything_holds_and_is_covered(tmp_path):
    log = usual()
    report = judge(tmp_path, log.members(), log)
    assert found(report) == (0, None)
    assert report["entries"] == {"included": 10, "unwitnessed": 0}
    assert report["payloads"] == {"included": 6, "withheld": 0, "shredded": 1}
    assert report["covered"]["by"] == ["w1", "w3"]


@pytest.mark.parametrize("size", [5, 9, 10])
def test_a_bundle_of_any_checkpoint_holds(tmp_path, size):
    log = usual()
    log.shredded = set() if size == 5 else log.shredded
    sizes = sorted(log.checkpoints)
    assert found(judge(tmp_path, log.members(size=min(s for s in sizes if s >= size)), log)) == (0, None)


def test_every_selection_of_entries_holds(tmp_path):
    log = usual()
    for chosen in range(1, 1 << 10, 19):
        keep = {p for p in range(10) if chosen >> p & 1} | {0, 8}
        report = judge(tmp_path, log.members(take=lambda p, keep=keep: p in keep, complete=False), log)
        assert found(report) == (0, None), (sorted(keep), report["failure"])
        assert report["entries"]["included"] == len(keep)


def test_entries_nobody_has_seen_are_counted_and_never_called_good(tmp_path):
    log = usual()
    log.add("window.closed", ("loop", "l-2"), subject="patient-8", payload={"mean": "123 mm[Hg]"})
    log.checkpoint("w2")
    report = judge(tmp_path, log.members(), log)
    assert (found(report), report["result"]) == ((3, None), "unwitnessed")
    assert report["entries"] == {"included": 11, "unwitnessed": 1}
    assert report["covered"]["size"] == 10


def test_a_log_nobody_witnessed_is_not_good_unless_the_auditor_asks_for_no_witness(tmp_path):
    log = Log()
    log.checkpoint("nobody")
    assert found(judge(tmp_path, log.members(), log)) == (3, None)
    log.quorum = "none"
    assert found(judge(tmp_path, log.members(), log)) == (0, None)


def test_the_time_of_a_checkpoint_is_when_the_quorum_was_reached(tmp_path):
    log = usual()
    log.checkpoint("w1", "w2", at=log.now + timedelta(seconds=50))
    log.now += timedelta(seconds=1)
    log.add("window.closed", ("loop", "l-3"), payload={"mean": "1"})
    log.checkpoint("w1", "w2", "w3", at=log.now + timedelta(seconds=60))
    report = judge(tmp_path, log.members(), log)
    assert (found(report), report["late"]) == ((0, None), 1)


def test_a_witness_far_in_the_future_is_shown_and_breaks_nothing(tmp_path):
    log = usual()
    log.checkpoint("nobody")
    text = log.head(10)
    lines = [log.log_keys[0].line(text), *(each.cosign(text, 2**62) for each in log.witnesses.values())]
    log.checkpoints[10]["note"] = note(text, *lines).decode()
    (tmp_path / "b").write_bytes(zipped(log.members()))
    (tmp_path / "p").write_bytes(log.policy())
    run = [sys.executable, "-m", "audit.verify", str(tmp_path / "b"), "--policy", str(tmp_path / "p")]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_payloads_a_reader_may_not_see_are_counted(tmp_path):
    log = usual()
    report = judge(tmp_path, log.members(withhold=[3, 9]), log)
    assert (found(report), report["payloads"]["withheld"]) == ((0, None), 2)


def test_a_person_whose_key_was_destroyed_is_shredded_whole(tmp_path):
    log = usual()
    log.add("key.destroyed", ("data_key", "k-8"), subject="patient-8", purpose="legal", reason_code="erasure")
    log.shredded |= {7, 9}
    log.add("window.closed", ("loop", "l-2"), subject="patient-8", payload={"mean": "after"})
    log.checkpoint()
    report = judge(tmp_path, log.members(), log)
    assert (found(report), report["payloads"]["shredded"]) == ((0, None), 3)


def test_the_log_may_change_its_key(tmp_path):
    log = usual()
    log.rotate()
    log.checkpoint()
    log.add("window.closed", ("loop", "l-3"))
    log.checkpoint()
    assert found(judge(tmp_path, log.members(), log)) == (0, None)
    assert found(judge(tmp_path, log.members(take=lambda p: p in {0, 3, 8, 10}, complete=False), log)) == (0, None)


@pytest.mark.parametrize("kind", ["es256", "eddsa"])
@pytest.mark.parametrize("shown", [True, False])
def test_a_persons_signature_holds(tmp_path, kind, shown):
    log, key = usual(), Passkey(kind=kind)
    key.enrol(log)
    key.sign(log, shown=shown)
    key.sign(log, nonce=b"m" * 32)
    log.add("approval.given", ("approval", "a"), esign={"meaning": "m", "record": "ab" * 32, "method": "session"})
    log.checkpoint()
    report = judge(tmp_path, log.members(), log)
    assert found(report) == (0, None), report["failure"]
    assert report["signatures"] == {"webauthn": 2, "password_totp": 0, "session": 1, "content_shown": 1 + shown}


def test_a_signature_of_its_own_entry_serves_the_act_that_follows(tmp_path):
    log, key = usual(), Passkey()
    key.enrol(log)
    key.sign(log, act={})
    log.checkpoint()
    report = judge(tmp_path, log.members(), log)
    assert (found(report), report["signatures"]["webauthn"]) == ((0, None), 2), report["failure"]


def test_receipts_are_found_and_those_not_yet_due_stay_open(tmp_path):
    log = usual()
    later = log.add("window.closed", ("loop", "l-3"))
    both = [log.receipt(1), log.receipt(9)]
    report = judge(tmp_path, log.members(), log, receipts=both)
    assert (found(report), report["receipts"]) == ((0, None), {"found": 2, "open": 0})
    report = judge(tmp_path, log.members(), log, receipts=[*both, log.receipt(later)])
    assert (found(report), report["receipts"]) == ((3, None), {"found": 2, "open": 1})
    lines = b"".join(json.dumps({"ok": True, "receipt": each.decode()}).encode() + b"\n" for each in both)
    assert judge(tmp_path, log.members(), log, receipts=[lines])["receipts"]["found"] == 2


def test_a_head_seen_elsewhere_is_compared(tmp_path):
    log = usual()
    seen = log.checkpoints[5]["note"].encode()
    report = judge(tmp_path, log.members(), log, seen=[seen])
    assert (found(report), report["seen"]) == ((0, None), {"compared": 1, "not_compared": 0})


def test_the_command_says_it_to_people_and_by_its_exit_status(tmp_path):
    log = usual()
    (tmp_path / "b").write_bytes(zipped(log.members()))
    (tmp_path / "p").write_bytes(log.policy())
    run = [sys.executable, "-m", "audit.verify", str(tmp_path / "b"), "--policy", str(tmp_path / "p")]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "OK up to size 10 (cosigned by w1, w3 at 2026-03-01T12:00:11Z)" in done.stdout
    (tmp_path / "b").write_bytes(b"not a bundle")
    done = subprocess.run([*run, "--json"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, json.loads(done.stdout)["failure"]["class"], done.stderr) == (2, "not-a-zip", "")


def test_the_verifier_runs_without_django_and_without_our_other_modules():
    seen = "import sys, runpy; sys.argv=['verify', 'x']\ntry: runpy.run_module('audit.verify', run_name='__main__')\n"
    seen += "except SystemExit: pass\nprint(sorted(n for n in sys.modules if n.split('.')[0] in %r))"
    names = (
        "django",
        "audit",
        "governance",
        "models",
        "care_loops",
        "edge_wearables",
        "config",
        "pypdf",
        "rfc3161_client",
    )
    done = subprocess.run(
        [sys.executable, "-c", seen % (names,)], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ)
    )
    modules = done.stdout.strip().splitlines()[-1]
    core = ("", ".__main__", ".archive", ".notes", ".quick", ".signatures", ".spelling", ".walk")
    assert eval(modules) == sorted(["audit", *(f"audit.verify{name}" for name in core if name != ".__main__")])  # noqa: S307
