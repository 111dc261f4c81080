"""Whatever bytes it is given, the verifier refuses them by name, soon, and never calls them good."""

import contextlib
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.verify.notes import NoteInvalid, Policy, open_note
from audit.verify.spelling import Refused, parse
from tests.audit.verify.fuzzing import SITES, ask, attack, whole
from tests.audit.verify.judging import found, judge
from tests.audit.verify.maker import usual, zipped

ROOT = Path(__file__).resolve().parents[3]
FIRST_READ = {"file", "manifest.json", "policy", "receipt", "seen"}  # damaged, they say nothing: exit 2
PIECES = st.one_of(st.binary(max_size=60), st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace")))
PIECES |= st.sampled_from(
    [b"\n", b"{}", b"null", b'"', b"-0", b"1e9", b"\\u0000", "—".encode(), b"[" * 5000, b"9" * 400]
)


@pytest.mark.parametrize("site", range(len(SITES)), ids=SITES)
def test_every_part_may_be_damaged_and_is_refused(site):
    reports = []

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([0, 1, 2, 3, 4]), st.integers(0, 65_535), PIECES, st.booleans())
    def damage(how, at, piece, resign):
        first = site + len(SITES) * 11 if resign else site
        if first % len(SITES) != site:
            first = site
        reports.append(attack(bytes([first, how]) + at.to_bytes(2, "big") + piece))

    damage()
    assert {report["exit"] for report in reports if report} >= ({2} if SITES[site] in FIRST_READ else {1})


def test_raw_bytes_are_refused():
    @settings(max_examples=100)
    @given(st.binary(max_size=400))
    def give(data):
        report = ask(data, data, data, data)
        assert report["exit"] == 2

    give()


BELIEVES = """
import sys
sys.path[:0] = sys.argv[1:3]
from tests.audit.verify.fuzzing import NotRefused, attack
try:
    print(attack(bytes.fromhex(sys.argv[3]))["failure"]["class"])
except NotRefused as err:
    print("NotRefused", err)
"""


def test_a_verifier_that_believes_is_caught_by_the_same_tries(tmp_path):
    """The seeded defect: a verifier of whose text one line is another, so that readings are taken as they come."""
    _, members = whole()
    at = members["batches.jsonl"].index(b'"rows":["') + 9
    attacked = bytes([SITES.index("batches.jsonl") + len(SITES) * 11, 0]) + at.to_bytes(2, "big") + b"AAAA"
    assert attack(attacked)["failure"]["class"] == "batch-root"
    said = {}
    for name, sound, hole in (("sound", "", ""), ("blind", "!= (tree.root().hex(), len(framed))", "== (None, None)")):
        shutil.copytree(ROOT / "audit" / "verify", tmp_path / name / "audit" / "verify")
        (tmp_path / name / "audit" / "__init__.py").touch()
        walk = tmp_path / name / "audit" / "verify" / "walk.py"
        assert not sound or walk.read_text().count(sound) == 1
        walk.write_text(walk.read_text().replace(sound, hole) if sound else walk.read_text())
        run = [sys.executable, "-c", BELIEVES, str(tmp_path / name), str(ROOT), attacked.hex()]
        said[name] = subprocess.run(run, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert said["sound"] == "batch-root\n"
    assert said["blind"].startswith("NotRefused batches.jsonl: exit 0")


@given(st.binary(max_size=300))
def test_readers_raise_only_their_own_refusals(data):
    for read, refusal in (
        (lambda d: open_note(d, []), NoteInvalid),
        (Policy, Refused),
        (lambda d: parse(d, "spelling"), Refused),
    ):
        try:
            read(data)
        except refusal:
            continue


@given(
    st.lists(st.lists(st.sampled_from(["log", "witness", "group", "quorum", "none", "any", "all", "1", "w", "g", "#"])))
)
def test_policies_of_the_right_words_are_read_or_refused(lines):
    with contextlib.suppress(Refused):
        Policy("\n".join(" ".join(line) for line in lines).encode())


def _limited(path: Path, policy: Path) -> tuple[int, str, float]:
    """Exit status, output and seconds of a verifier that may take 1 GiB of address space."""
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); "
    limit += "sys.argv = ['verify', *sys.argv[1:]]; runpy.run_module('audit.verify', run_name='__main__')"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", limit, str(path), "--policy", str(policy)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, done.stdout, time.monotonic() - began


@pytest.mark.parametrize(
    "name", ["payloads.jsonl", "entries.jsonl", "rest.jsonl", "batches.jsonl", "checkpoints.jsonl"]
)
def test_a_bomb_is_refused_in_little_memory_and_time(tmp_path, name):
    log = usual()
    members = log.members()
    line = b'{"entry":"019ca945-0002-7000-8000-000000000002","rows":["' + b"A" * (8 << 20) + b'"]}\n'
    for bomb in (b"\0" * (64 << 20), line * 3):
        (tmp_path / "bomb").write_bytes(zipped(log.resigned(members | {name: bomb})))
        (tmp_path / "policy").write_bytes(log.policy())
        status, said, seconds = _limited(tmp_path / "bomb", tmp_path / "policy")
        assert status in {1, 2}, said
        assert seconds < 30


def test_stored_members_verify_as_deflated_ones_do(tmp_path):
    log = usual()
    assert found(judge(tmp_path, zipped(log.members(), zipfile.ZIP_STORED), log)) == (0, None)
