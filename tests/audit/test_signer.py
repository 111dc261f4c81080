"""The signer: it signs what continues the last head it signed, remembers it across kills, and refuses all else."""

import base64
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import merkle, notes
from audit.signer import Folder, Head, Memory, NotFit, Refused

ORIGIN = "hospital.example/log"
LEAVES = [sha256(b"%d" % n).digest() for n in range(64)]


def head(size: int, leaves=None, origin: str = ORIGIN) -> notes.TreeHead:
    return notes.TreeHead(origin, size, merkle.root((leaves or LEAVES)[:size]))


def proof(old: int, new: int, leaves=None) -> tuple[bytes, ...]:
    return merkle.consistency_proof(old, new, merkle.subtree_of(leaves or LEAVES)) if old else ()


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path / "signer", ORIGIN)


@pytest.fixture
def core(folder):
    with folder.held():
        yield folder.core()


def test_it_signs_a_log_that_grows(core):
    for old, new in ((0, 5), (5, 5), (5, 6), (6, 64)):
        note = core.sign(head(new), old=old, proof=proof(old, new))
        assert notes.open_checkpoint(note, origin=ORIGIN, keys=core.verifier_keys) == head(new)
    assert core.head == Head(64, head(64).root)


REFUSED = {
    "tree-shrank": (head(9), 10, ()),
    "another-root": (head(10, LEAVES[::-1]), 10, ()),
    "old-size": (head(20), 9, proof(9, 20)),
    "foreign-origin": (head(20, origin="hospital.example/other"), 10, proof(10, 20)),
    "extensions": (notes.TreeHead(ORIGIN, 20, head(20).root, ("more",)), 10, proof(10, 20)),
    "size": (notes.TreeHead(ORIGIN, 0, merkle.EMPTY_ROOT), 10, ()),
    "proof": (head(20), 10, ()),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_does_not_continue_is_refused_by_name_and_changes_nothing(core, folder, code):
    core.sign(head(10), old=0, proof=())
    asked, old, steps = REFUSED[code]
    with pytest.raises(Refused) as refused:
        core.sign(asked, old=old, proof=steps)
    assert refused.value.code == code
    assert folder.core().head == Head(10, head(10).root)


@given(st.integers(1, 60), st.integers(0, 60), st.data())
@settings(max_examples=150)
def test_no_other_history_is_ever_signed(old, more, data):
    """Whatever the forger hands over as proof: a log that differs before the remembered size gets no signature."""
    with tempfile.TemporaryDirectory() as place:
        core = Folder(Path(place), ORIGIN).core()
        core.sign(head(old), old=0, proof=())
        forged = list(LEAVES)
        forged[data.draw(st.integers(0, old - 1))] = bytes(32)
        new = min(64, old + more)
        steps = data.draw(st.sampled_from([proof(old, new), proof(old, new, forged), (), (bytes(32),) * 3]))
        with pytest.raises(Refused):
            core.sign(head(new, forged), old=old, proof=steps)
        assert core.sign(head(new), old=old, proof=proof(old, new))


def test_a_signer_that_forgets_signs_the_forged_history_which_is_why_it_remembers(core, folder):
    """The power check: with its memory emptied, the same question is answered with a signature."""
    core.sign(head(10), old=0, proof=())
    Memory(folder.path / "memory.json", ORIGIN).keep(Head(0, merkle.EMPTY_ROOT))
    assert folder.core().sign(head(10, LEAVES[::-1]), old=0, proof=())


def test_a_key_without_its_memory_or_a_memory_without_its_key_is_named(core, folder):
    note = core.sign(head(10), old=0, proof=())
    memory, key = folder.path / "memory.json", folder.path / "log.key"
    memory.rename(folder.path / "away")
    with pytest.raises(NotFit, match=r"memory\.json is missing"):
        folder.core()
    folder.remember(note)
    assert folder.core().head == Head(10, head(10).root)
    memory.write_bytes(b"{")
    with pytest.raises(NotFit, match="cannot be read"):
        folder.core()
    (folder.path / "away").rename(memory)
    key.rename(folder.path / "key-away")
    with pytest.raises(NotFit, match=r"log\.key is missing"):
        folder.core()
    with pytest.raises(NotFit, match="is of the log"):
        Folder(folder.path, "hospital.example/other").core()


def test_only_a_note_of_its_own_key_can_be_given_back_as_memory(core, folder):
    stranger = notes.sign(head(10).text(), name=ORIGIN, key=notes.Ed25519PrivateKey.generate())
    with pytest.raises(notes.NoteInvalid):
        folder.remember(stranger)


def test_everything_in_its_folder_is_private_and_held_alone(core, folder):
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir() if path.suffix != ".lock"}
    assert kept == {"log.key": 0o600, "memory.json": 0o600}
    with pytest.raises(NotFit, match="another signer"), Folder(folder.path, ORIGIN).held():
        pass


def test_a_key_is_replaced_by_way_of_both(core, folder):
    with pytest.raises(Refused, match="no-next-key"):
        folder.retire()
    (old,) = core.verifier_keys
    both = folder.prepare()
    assert folder.prepare().verifier_keys == both.verifier_keys
    assert both.verifier_keys[0] == old
    new = both.verifier_keys[1]
    signed = notes.open_note(both.sign(head(3), old=0, proof=()), keys=[old, new])[1]
    assert set(signed) == {old, new}
    after = folder.retire()
    assert after.verifier_keys == (new,)
    assert notes.open_note(after.sign(head(4), old=3, proof=proof(3, 4)), keys=[old, new])[1] == (new,)


# --- as a process -----------------------------------------------------------------------------------------------------


class Running:
    """The program on a socket of its own."""

    def __init__(self, place: Path) -> None:
        self.folder, self.socket = place / "keys", place / "s.sock"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "audit.signer", "--folder", str(self.folder), "--socket", str(self.socket)]
        self.process = subprocess.Popen([*command, "--origin", ORIGIN], stderr=subprocess.PIPE)
        until = time.monotonic() + 30
        while self.ask({"do": "state"}) is None:
            assert time.monotonic() < until
            assert self.process.poll() is None
            time.sleep(0.01)

    def send(self, data: bytes, *, end: bool = False) -> bytes:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(self.socket))
            line.sendall(data)
            if end:
                line.shutdown(socket.SHUT_WR)
            with line.makefile("rb") as said:
                return said.readline()

    def ask(self, asked: dict) -> dict | None:
        try:
            said = self.send(json.dumps(asked).encode() + b"\n")
        except OSError:
            return None
        return json.loads(said) if said else None

    def sign(self, old: int, new: int) -> dict | None:
        steps = [base64.b64encode(each).decode() for each in proof(old, new)]
        root = base64.b64encode(head(new).root).decode()
        return self.ask({"do": "sign", "origin": ORIGIN, "size": new, "root": root, "old": old, "proof": steps})

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=20)


@pytest.fixture
def running():
    place = Path(tempfile.mkdtemp(prefix="sgn"))  # a short path: the kernel wants sockets under 108 bytes
    program = Running(place)
    yield program
    program.kill()
    shutil.rmtree(place)


def test_the_process_answers_on_a_private_socket_without_django(running):
    assert stat.S_IMODE(running.socket.stat().st_mode) == 0o600
    assert running.sign(0, 8)["note"].startswith(f"{ORIGIN}\n8\n")
    assert running.sign(0, 9) == {"refused": "old-size", "size": 8}
    listed = subprocess.run(
        [sys.executable, "-c", "import sys, audit.signer.__main__; print('django' in sys.modules)"],
        capture_output=True,
        text=True,
    )
    assert listed.stdout == "False\n"


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b"nonsense", b'{"do": "sign"}', b'{"do": "open the door"}', b"\xff\xfe", b"[" * 60_000,
     b'{"do": "sign", "origin": "o", "size": 1.5, "root": "", "old": 0, "proof": []}',
     b'{"do": "sign", "origin": "o", "size": true, "root": "", "old": 0, "proof": []}',
     b'{"do": "sign", "origin": "o", "size": 1, "root": 7, "old": 0, "proof": []}',
     b'{"do": "sign", "origin": "o", "size": 1, "root": "", "old": 0, "proof": [7]}'],
)  # fmt: skip
def test_whatever_is_sent_is_refused_by_name_and_the_next_caller_is_served(running, line):
    said = json.loads(running.send(line + b"\n"))
    assert said["refused"] in {"malformed", "unknown-request", "foreign-origin"}
    assert running.sign(0, 4)["note"]


def test_a_line_without_end_is_cut_off(running):
    assert json.loads(running.send(b"x" * 70_000))["refused"] == "too-long"
    assert running.sign(0, 4)["note"]


def test_callers_that_say_nothing_do_not_keep_others_waiting_for_ever(running):
    idle = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for line in idle:
        line.connect(str(running.socket))
    began = time.monotonic()
    assert running.sign(0, 4)["note"]
    assert time.monotonic() - began < 12
    for line in idle:
        line.close()


def test_killed_at_any_point_it_never_signs_two_histories(running):
    """SIGKILL while requests are on their way: what was answered is remembered, and the next head must continue it."""
    answered, size = 0, 0
    for round_ in range(12):
        for _ in range(3):
            new = min(64, size + 1)
            child = os.fork()
            if child == 0:  # a caller of its own, so that the kill falls while it waits
                running.sign(size, new)
                os._exit(0)
            time.sleep(0.0004 * round_)
            running.kill()
            os.waitpid(child, 0)
            running.start()
            known = running.ask({"do": "state"})["size"]
            assert known in {size, new}
            assert running.sign(known, max(known, 1))["note"]
            answered, size = answered + 1, max(known, 1)
    assert answered == 36
    assert size > 1, "no request got through before a kill: the kills came too early to show anything"
