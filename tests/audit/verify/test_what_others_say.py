"""What is asked of others: timestamp tokens under the auditor's own roots (V15), and a witness's newest head (V7)."""

import re
import threading
from datetime import datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from audit.verify.pdf import Listing, Report
from audit.verify.spelling import Wrong
from tests.audit.authority import Authority
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import NOON, b64, usual

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def authority():
    """A timestamp authority: its root as PEM, and a function from a text and a time to a token."""
    made = Authority()
    return made.pem, lambda text, at: b64(made.stamp(text, at))


def stamped(authority, *, at: datetime, text: bytes | None = None):
    log = usual()
    log.checkpoints[10]["timestamp"] = authority[1](text or log.head(10), at)
    return log.members(), log


def test_a_token_under_the_auditors_root_holds_and_without_roots_it_is_only_counted(tmp_path, authority):
    bundle, log = stamped(authority, at=NOON + timedelta(seconds=20))
    for files in ({}, {"tsa": [authority[0]]}):
        report = judge(tmp_path, bundle, log, **files)
        assert (found(report), report["tokens"]) == ((0, None), 1), report["failure"]


def test_a_token_that_is_older_than_what_it_covers_is_found(tmp_path, authority):
    bundle, log = stamped(authority, at=NOON - timedelta(seconds=20))
    assert found(judge(tmp_path, bundle, log, tsa=[authority[0]])) == (1, "token-time")


def test_a_token_over_something_else_or_under_another_root_is_found(tmp_path, authority):
    bundle, log = stamped(authority, at=NOON + timedelta(seconds=20), text=b"something else\n")
    assert found(judge(tmp_path, bundle, log, tsa=[authority[0]])) == (1, "token")
    bundle, log = usual().members(), usual()
    log.checkpoints[10]["timestamp"] = b64(b"no token")
    assert found(judge(tmp_path, log.members(), log, tsa=[authority[0]])) == (1, "token")


class _Witness(BaseHTTPRequestHandler):
    answer = b""

    def do_GET(self) -> None:
        good = self.path == f"/w/{sha256(b'log.example/clinic').hexdigest()}/checkpoint"
        self.send_response(200 if good else 404)
        self.end_headers()
        self.wfile.write(self.answer if good else b"")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def witness():
    """A function that makes a witness answer these bytes; its address."""
    server = HTTPServer(("127.0.0.1", 0), _Witness)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def says(answer: bytes) -> str:
        _Witness.answer = answer
        return f"http://127.0.0.1:{server.server_port}/w/"

    yield says
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_witness_has_seen_the_same_log(tmp_path, witness):
    log = usual()
    report = judge(tmp_path, log.members(), log, "--online", witness(log.checkpoints[9]["note"].encode()))
    assert (found(report), report["seen"]["compared"], report["online"]["size"]) == ((0, None), 1, 9)


def test_the_witness_has_seen_another_log_or_a_longer_one(tmp_path, witness):
    log, other = usual(), usual()
    other.hashes[3] = b"\1" * 32
    other.checkpoint(size=9)
    forked = witness(other.checkpoints[9]["note"].encode())
    assert found(judge(tmp_path, log.members(), log, "--online", forked)) == (1, "seen-root")
    longer = witness(log.checkpoints[10]["note"].encode())
    cut_back = log.members(size=9, made_at="2026-03-01T12:10:00.000000Z")
    assert found(judge(tmp_path, cut_back, log, "--online", longer)) == (1, "seen-longer")


def test_a_log_that_has_grown_since_the_bundle_was_made_is_no_fault(tmp_path, witness):
    log = usual()
    old = log.members()
    log.now += timedelta(hours=1)
    log.add("window.closed", ("loop", "l-3"))
    log.checkpoint()
    report = judge(tmp_path, old, log, "--online", witness(log.checkpoints[11]["note"].encode()))
    assert (found(report), report["online"]["size"]) == ((0, None), 11)


@pytest.mark.parametrize("answer", [b"", b"hello", b"A" * 1_000_001])
def test_a_witness_that_answers_nonsense_is_refused(tmp_path, witness, answer):
    log = usual()
    report = judge(tmp_path, log.members(), log, "--online", witness(answer))
    assert found(report) in {(2, "seen-form"), (2, "online")}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/w", "file:///etc/passwd", "nonsense"])
def test_a_witness_that_cannot_be_asked_is_refused(tmp_path, url):
    log = usual()
    assert found(judge(tmp_path, log.members(), log, "--online", url)) == (2, "online")


def test_pages_drawn_from_another_bundle_are_found():
    with pytest.raises(Wrong) as refused:
        Report.check_pages(None, Listing("ab" * 32, ()), bundle_sha256="cd" * 32)
    assert (refused.value.step, refused.value.code) == ("V16", "pdf-bundle")


def classes_without_a_test(readme: str, tests: str) -> set[str]:
    """Classes of README 10 that no test names."""
    steps = readme.partition("## 10. The steps")[2].partition("## 11.")[0]
    table, _, refused = steps.partition("Classes of exit 2:")
    named = {
        name
        for row in re.findall(r"^\|.*\|$", table, re.MULTILINE)
        for name in re.findall("`([a-z-]+)`", row.split("|")[-2])
    }
    named |= set(re.findall("`([a-z]+[a-z-]*)`", refused))
    assert len(named) > 60
    return {name for name in named if name not in tests}


def test_every_class_of_the_specification_has_a_test_that_names_it():
    readme = (ROOT / "audit" / "README.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "audit").rglob("test_*.py"))
    assert classes_without_a_test(readme, tests) == set()
    unknown = "never" + "-shown"
    assert classes_without_a_test(readme.replace("`prev`", f"`{unknown}`"), tests) == {unknown}
