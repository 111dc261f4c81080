"""A witness cosigns growth and nothing else: every answer, its memory, races, a lost key, a lost state."""

import ast
import sqlite3
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from audit import notes
from audit.notes import Cosignature, TreeHead
from audit.witness import store as store_module
from audit.witness.identity import IdentityRefused, identity
from audit.witness.judging import Refused, Witness
from audit.witness.store import EVIDENCE_KEPT, Latest, Store
from tests.audit.watched import WatchedLog

NOW = 1_772_366_400
LOG = WatchedLog()
FORK = WatchedLog(salt=b"another history")
STRANGER = WatchedLog(seed=9)
UNKNOWN = WatchedLog(origin="clinaiops.invalid/log/other")
SECRET = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
NAME = "witness.invalid/w"


def made(folder: Path, *, store: type[Store] = Store) -> Witness:
    memory = store(folder / "w.sqlite3")
    if not (folder / "w.sqlite3").exists():
        memory.create("a key")
    return Witness(name=NAME, key=SECRET, logs=[LOG.vkey], store=memory)


@pytest.fixture
def witness(tmp_path):
    return made(tmp_path)


def refused(witness, body: bytes, *, now: int = NOW) -> tuple[int, str, int | None]:
    with pytest.raises(Refused) as found:
        witness.add_checkpoint(body, now=now)
    return found.value.status, found.value.code, found.value.size


def size_of(witness) -> int:
    note = witness.checkpoint(LOG.hash)
    return notes.open_checkpoint(note, origin=LOG.origin, keys=[LOG.vkey]).size if note else 0


# --- 200 --------------------------------------------------------------------------------------------------------------


def test_a_growing_log_is_cosigned_at_every_size_and_the_last_checkpoint_is_served(witness):
    for at, (old, new) in enumerate(pairwise([0, 1, 2, 3, 7, 8, 31, 32, 33, 64])):
        line = witness.add_checkpoint(LOG.request(old, new), now=NOW + at)
        note = LOG.note(new) + line
        assert notes.cosignatures(note, witnesses=[witness.vkey]) == (Cosignature(witness.vkey, NOW + at),)
        assert witness.checkpoint(LOG.hash) == note


def test_the_same_size_again_is_cosigned_anew(witness):
    first = witness.add_checkpoint(LOG.request(0, 9), now=NOW)
    again = witness.add_checkpoint(LOG.request(9, 9), now=NOW + 5)
    assert first != again
    assert witness.checkpoint(LOG.hash) == LOG.note(9) + again


def test_an_empty_log_is_cosigned_and_grows_from_there_without_a_proof(witness):
    witness.add_checkpoint(LOG.request(0, 0), now=NOW)
    witness.add_checkpoint(LOG.request(0, 0), now=NOW)
    witness.add_checkpoint(LOG.request(0, 5), now=NOW)
    assert size_of(witness) == 5


def test_strangers_signatures_are_passed_over_and_not_served(witness):
    stranger = STRANGER.note(4).rpartition(b"\n\n")[2]
    line = witness.add_checkpoint(LOG.request(0, 4, note=LOG.note(4) + stranger), now=NOW)
    assert witness.checkpoint(LOG.hash) == LOG.note(4) + line


def test_a_log_that_changes_its_key_is_known_by_both(tmp_path):
    follower = WatchedLog(seed=2)
    witness = made(tmp_path)
    both = Witness(name=NAME, key=SECRET, logs=[LOG.vkey, follower.vkey], store=Store(tmp_path / "w.sqlite3"))
    witness.add_checkpoint(LOG.request(0, 4), now=NOW)
    assert refused(witness, follower.request(4, 8))[0] == 403
    both.add_checkpoint(follower.request(4, 8), now=NOW)
    assert b"\n8\n" in both.checkpoint(LOG.hash)


def test_extension_lines_are_cosigned_as_they_stand(witness):
    head = TreeHead(LOG.origin, 3, LOG.head(3).root, ("a word more",))
    note = notes.sign(head.text(), name=LOG.origin, key=LOG.key)
    line = witness.add_checkpoint(LOG.request(0, 3, note=note), now=NOW)
    assert notes.cosignatures(note + line, witnesses=[witness.vkey])


# --- every other answer -----------------------------------------------------------------------------------------------

GOOD = LOG.request(0, 5)
MALFORMED = {
    "nothing": b"",
    "no old size": GOOD.replace(b"old 0", b"0", 1),
    "leading zero": LOG.request(4, 5).replace(b"old 4", b"old 04", 1),
    "negative": GOOD.replace(b"old 0", b"old -1", 1),
    "plus": GOOD.replace(b"old 0", b"old +0", 1),
    "two spaces": GOOD.replace(b"old 0", b"old  0", 1),
    "carriage return": GOOD.replace(b"old 0\n", b"old 0\r\n", 1),
    "too many digits": GOOD.replace(b"old 0", b"old " + b"9" * 20, 1),
    "other digits": GOOD.replace(b"old 0", "old ٠".encode(), 1),
    "no empty line": GOOD.replace(b"\n\n", b"\n", 1),
    "proof of 31 bytes": LOG.request(0, 5, proof=[bytes(31)]),
    "proof not base64": GOOD.replace(b"old 0\n", b"old 0\n" + b"!" * 44 + b"\n", 1),
    "proof spelt otherwise": GOOD.replace(b"old 0\n", b"old 0\n" + b"A" * 42 + b"B=\n", 1),
    "sixty-four proof lines": LOG.request(0, 5, proof=[bytes(32)] * 64),
    "no checkpoint": b"old 0\n\n",
    "unsigned": b"old 0\n\n" + LOG.head(5).text(),
    "not utf-8": GOOD.replace(b"clinaiops", b"clinaiop\xff", 1),
    "size with a leading zero": GOOD.replace(b"\n5\n", b"\n05\n", 1),
    "a size no log reaches": GOOD.replace(b"\n5\n", b"\n9223372036854775808\n", 1),
    "short root": LOG.request(0, 5, note=notes.sign(f"{LOG.origin}\n5\nAAAA\n".encode(), name="n", key=LOG.key)),
    "seventeen signatures": GOOD + LOG.note(5).rpartition(b"\n\n")[2] * 16,
    "old above new": LOG.request(6, 5),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_400_a_request_that_cannot_be_read(witness, body):
    assert refused(witness, body)[0] == 400
    assert witness.checkpoint(LOG.hash) is None


def test_404_a_log_nobody_asked_us_to_watch(witness):
    assert refused(witness, UNKNOWN.request(0, 5))[0] == 404
    assert witness.checkpoint(UNKNOWN.hash) is None


def test_403_a_checkpoint_the_log_did_not_sign(witness):
    assert refused(witness, STRANGER.request(0, 5)) == (403, "no-known-signature", None)
    other = LOG.note(6).rpartition(b"\n\n")[2]
    assert refused(witness, LOG.request(0, 5, note=LOG.head(5).text() + b"\n" + other)) == (403, "bad-signature", None)
    assert refused(witness, LOG.request(0, 5, note=LOG.note(5) + other)) == (403, "bad-signature", None)
    assert witness.checkpoint(LOG.hash) is None


def test_409_another_old_size_is_told_ours(witness):
    assert refused(witness, LOG.request(3, 5)) == (409, "old-size", 0)
    witness.add_checkpoint(LOG.request(0, 9), now=NOW)
    for old, new in ((0, 9), (0, 20), (8, 20), (10, 20), (5, 5), (0, 5)):
        assert refused(witness, LOG.request(old, new)) == (409, "old-size", 9)
    assert size_of(witness) == 9


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (LOG.request(9, 20, proof=[]), "proof-too-short"),
        (LOG.request(9, 20, proof=[*LOG.proof(9, 20), bytes(32)]), "proof-too-long"),
        (LOG.request(9, 20, proof=LOG.proof(9, 20)[::-1]), "wrong-root"),
        (FORK.request(9, 20), "wrong-root"),
        (FORK.request(9, 9), "wrong-root"),
        (LOG.request(9, 9, proof=[bytes(32)]), "proof-too-long"),
    ],
    ids=["short", "long", "backwards", "fork", "another root at this size", "proof of nothing"],
)
def test_422_growth_that_is_not_shown(witness, body, code):
    witness.add_checkpoint(LOG.request(0, 9), now=NOW)
    assert refused(witness, body) == (422, code, None)
    assert size_of(witness) == 9


def test_422_an_empty_log_with_another_root_and_a_proof_from_nothing(witness):
    empty = notes.sign(TreeHead(LOG.origin, 0, bytes(32)).text(), name=LOG.origin, key=LOG.key)
    assert refused(witness, LOG.request(0, 0, note=empty)) == (422, "empty-tree-root", None)
    assert refused(witness, LOG.request(0, 5, proof=[bytes(32)])) == (422, "proof-from-empty-tree", None)


def test_503_while_our_clock_stands_before_our_last_cosignature(witness):
    witness.add_checkpoint(LOG.request(0, 9), now=NOW)
    assert refused(witness, LOG.request(9, 20), now=NOW - 1)[:2] == (503, "clock-behind")
    witness.add_checkpoint(LOG.request(9, 20), now=NOW)


def test_what_the_log_signed_and_should_not_have_is_kept_as_evidence_and_not_without_end(witness, tmp_path):
    witness.add_checkpoint(LOG.request(0, 9), now=NOW)
    refused(witness, STRANGER.request(9, 20))
    refused(witness, LOG.request(8, 20))
    for _ in range(EVIDENCE_KEPT + 3):
        refused(witness, FORK.request(9, 20))
    with sqlite3.connect(tmp_path / "w.sqlite3") as db:
        kept = db.execute("SELECT at, origin, code, request FROM evidence").fetchall()
    assert kept == [(NOW, LOG.origin, "wrong-root", FORK.request(9, 20))] * EVIDENCE_KEPT


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from([LOG, FORK, STRANGER])), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_whatever_is_asked_in_whatever_order_only_one_history_is_ever_cosigned(tmp_path_factory, asked):
    witness = made(tmp_path_factory.mktemp("w"))
    size, history = 0, None
    for old, new, log in asked:
        try:
            witness.add_checkpoint(log.request(old, new), now=NOW)
        except Refused as refusal:
            event(str(refusal))
            continue
        event("cosigned")
        assert log is not STRANGER
        assert size == old <= new
        assert history in {None, log} or size == 0
        size, history = new, log if new else history
    assert size_of(witness) == size


@given(st.binary(max_size=300) | st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=9)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_no_body_breaks_the_reader_or_is_cosigned_unless_its_checkpoint_is_the_logs(tmp_path_factory, bent):
    body = bent if isinstance(bent, bytes) else GOOD[: bent[0]] + bent[1] + GOOD[bent[0] + len(bent[1]) :]
    witness = made(tmp_path_factory.mktemp("w"))
    try:
        witness.add_checkpoint(body, now=NOW)
    except Refused as refusal:
        event(refusal.code)
        answer = refusal.status
    else:
        answer = 200
        assert size_of(witness) == 5
    assert answer in {200, 400, 403, 404, 409, 422}


# --- one step ---------------------------------------------------------------------------------------------------------


class Hasty(Store):
    """The seeded defect: what was compared and what is replaced are two steps. `pause` lets the other overtake."""

    pause = staticmethod(lambda _new: None)

    def replace(self, origin, decide):
        new = decide(self.last(origin))
        self.pause(new)
        with self._writing() as connection:
            connection.execute(store_module._PUT, (origin, new.size, new.root, new.note, new.at))
        return new


def race(witness: Witness, smaller: bytes, larger: bytes) -> list[bytes | int]:
    """Two requests at once; what each was answered."""
    answers: list[bytes | int] = [0, 0]
    ready = threading.Barrier(2)

    def ask(place: int, body: bytes) -> None:
        ready.wait()
        try:
            answers[place] = witness.add_checkpoint(body, now=NOW)
        except Refused as refusal:
            answers[place] = refusal.status

    threads = [threading.Thread(target=ask, args=each) for each in enumerate((smaller, larger))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


def rolled_back(witness: Witness, answers: list[bytes | int]) -> bool:
    """Whether something was cosigned that is larger than what is remembered."""
    cosigned = [size for size, answer in zip((12, 30), answers, strict=True) if isinstance(answer, bytes)]
    return max(cosigned) > size_of(witness)


ROUNDS = 60


def test_two_checkpoints_at_once_one_is_cosigned_and_the_log_is_not_rolled_back(tmp_path):
    winners = set()
    for number in range(ROUNDS):
        (tmp_path / str(number)).mkdir()
        witness = made(tmp_path / str(number))
        witness.add_checkpoint(LOG.request(0, 5), now=NOW)
        answers = race(witness, LOG.request(5, 12), LOG.request(5, 30))
        assert sorted(map(type, answers), key=str) == [bytes, int], answers
        assert 409 in answers
        assert not rolled_back(witness, answers)
        winners.add(size_of(witness))
    assert winners <= {12, 30}


def hasty(folder: Path, *, guarded: bool) -> Witness:
    """A witness that compares first and replaces later, the smaller tree after the larger one."""
    witness = made(folder, store=Hasty)
    witness.add_checkpoint(LOG.request(0, 5), now=NOW)
    if not guarded:
        with sqlite3.connect(folder / "w.sqlite3") as db:
            db.execute("DROP TRIGGER latest_grows")
    both, larger_is_in = threading.Barrier(2), threading.Event()

    def pause(new: Latest) -> None:
        both.wait(timeout=30)
        if new.size == 12:
            larger_is_in.wait(timeout=2)

    class Watching(Hasty):
        def replace(self, origin, decide):
            new = super().replace(origin, decide)
            if new.size == 30:
                larger_is_in.set()
            return new

    Watching.pause = staticmethod(pause)
    return made(folder, store=Watching)


def test_the_seeded_defect_a_comparison_apart_from_the_replacement_rolls_the_log_back(tmp_path):
    witness = hasty(tmp_path, guarded=False)
    answers = race(witness, LOG.request(5, 12), LOG.request(5, 30))
    assert all(isinstance(answer, bytes) for answer in answers)
    assert rolled_back(witness, answers)
    assert size_of(witness) == 12


def test_even_then_the_file_itself_refuses_a_smaller_size(tmp_path):
    witness = hasty(tmp_path, guarded=True)
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        answers = race(witness, LOG.request(5, 12), LOG.request(5, 30))
    finally:
        threading.excepthook = hook
    assert answers[0] == 0
    assert not rolled_back(witness, answers)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE latest SET size = 8",
        "UPDATE latest SET root = zeroblob(32)",
        "UPDATE latest SET origin = 'x'",
        "DELETE FROM latest",
        "INSERT OR REPLACE INTO latest SELECT origin, 8, root, note, at FROM latest",
    ],
)
def test_the_file_refuses_to_shrink_or_forget_a_log(witness, tmp_path, statement):
    witness.add_checkpoint(LOG.request(0, 9), now=NOW)
    with sqlite3.connect(tmp_path / "w.sqlite3") as db:
        db.execute("PRAGMA recursive_triggers = ON")
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
    assert size_of(witness) == 9


def test_nothing_is_answered_when_it_could_not_be_stored(witness, tmp_path):
    (tmp_path / "w.sqlite3").chmod(0o600)
    with sqlite3.connect(tmp_path / "w.sqlite3") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON latest BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.Error):
        witness.add_checkpoint(LOG.request(0, 9), now=NOW)
    assert witness.checkpoint(LOG.hash) is None


# --- who it is --------------------------------------------------------------------------------------------------------


def test_a_witness_is_made_once_and_is_itself_after_a_restart(tmp_path):
    place, store = tmp_path / "w.key", Store(tmp_path / "w.sqlite3")
    name, key = identity(place, name=NAME, store=store)
    assert (name, place.stat().st_mode & 0o777) == (NAME, 0o600)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []
    for again in (None, NAME):
        assert identity(place, name=again, store=store)[1].private_bytes_raw() == key.private_bytes_raw()


def test_a_key_without_its_state_a_state_without_its_key_and_another_name_are_refused(tmp_path):
    place, state = tmp_path / "w.key", tmp_path / "w.sqlite3"

    def code(**how) -> str:
        with pytest.raises(IdentityRefused) as found:
            identity(place, name=how.get("name"), store=Store(state))
        return found.value.code

    assert code() == "no-name"
    identity(place, name=NAME, store=Store(state))
    assert code(name="another") == "another-name"
    kept = state.read_bytes()
    state.unlink()
    assert code() == "state-lost"
    state.write_bytes(b"")
    assert code() == "state-lost"
    state.write_bytes(kept)
    own = place.read_text()
    place.write_text(own.replace(own.split("\n")[1], "AAAA"))
    assert code() == "key-file"
    place.write_text(f"{NAME}\n" + "A" * 43 + "=\n")
    assert code() == "another-key"
    place.unlink()
    assert code(name=NAME) == "key-lost"


@pytest.mark.parametrize("name", ["", "two words", "a+b", "tab\there"])
def test_a_name_that_cannot_stand_in_a_note_is_refused(tmp_path, name):
    with pytest.raises(IdentityRefused, match="no plus sign"):
        identity(tmp_path / "w.key", name=name, store=Store(tmp_path / "w.sqlite3"))
    assert not (tmp_path / "w.key").exists()


@pytest.mark.parametrize("died_before", ["create", "replace"])
def test_a_first_start_that_died_halfway_is_finished_by_the_next(tmp_path, monkeypatch, died_before):
    place, store = tmp_path / "w.key", Store(tmp_path / "w.sqlite3")

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store if died_before == "create" else Path, died_before, dies)
        with pytest.raises(KeyboardInterrupt):
            identity(place, name=NAME, store=store)
    _, key = identity(place, name=NAME, store=store)
    assert identity(place, name=None, store=store)[1].private_bytes_raw() == key.private_bytes_raw()


def test_the_program_uses_the_tree_and_the_notes_of_this_package_and_nothing_else_of_it():
    folder = Path(store_module.__file__).parent
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= (
                    {f"{node.module}.{each.name}" for each in node.names} if node.module == "audit" else {node.module}
                )
            elif isinstance(node, ast.Import):
                found |= {each.name for each in node.names}
    ours = {name for name in found if name.startswith("audit") and not name.startswith("audit.witness")}
    assert ours == {"audit.merkle", "audit.notes"}
    assert not {name for name in found if name.split(".")[0] in {"django", "config", "governance", "psycopg"}}
