"""The witness as an outsider runs it: a process of its own, over real HTTP, killed, restarted, pestered."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audit import notes
from audit.notes import WitnessKey
from audit.witness import server as server_module
from tests.audit.watched import WatchedLog

LOG, OTHER = WatchedLog(), WatchedLog(origin="clinaiops.invalid/log/second", seed=3)
FORK = WatchedLog(salt=b"another history")
NAME = "witness.invalid/w"


SHORT_LIVES = "server.LIFE_S = 2.0; server.MAX_CONNECTIONS = 8"
ANSWERS_FIRST = """
import threading
stored = store.Store.replace
def replace(self, origin, decide):
    new = decide(self.last(origin))
    threading.Timer(0.05, stored, [self, origin, lambda last: new]).start()
    return new
store.Store.replace = replace
"""  # the seeded defect: the cosignature leaves before the checkpoint is on the disk


class Running:
    """One witness process on a port of its own."""

    def __init__(self, folder, *, patch: str = "") -> None:
        self.folder = folder
        self.patch = patch
        self.start()

    def start(self) -> None:
        program = f"from audit.witness import server, store, __main__\n{self.patch}\nraise SystemExit(__main__.main())"
        arguments = ["--name", NAME, "--listen", "127.0.0.1:0", "--log", str(LOG.vkey), "--log", str(OTHER.vkey)]
        arguments += ["--db", str(self.folder / "w.sqlite3"), "--key", str(self.folder / "w.key")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said = self.process.stdout.readline()
        found = re.fullmatch(r"witness (\S+) (\S+) http://127\.0\.0\.1:(\d+)/\n", said)
        assert found, (said, self.process.stderr.read())
        self.key, self.port = WitnessKey.parse(found[2]), int(found[3])

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None) -> tuple:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers["Content-Type"]
        finally:
            connection.close()

    def add(self, body: bytes) -> tuple:
        return self.ask("POST", "/add-checkpoint", body)

    def raw(self, data: bytes) -> bytes:
        """What comes back for bytes that may be no HTTP at all."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as link:
            link.sendall(data)
            with suppress(OSError):  # a witness that turns us away may have closed already
                link.shutdown(socket.SHUT_WR)
            got = b""
            while more := link.recv(65_536):
                got += more
            return got

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def running(tmp_path):
    witness = Running(tmp_path)
    yield witness
    witness.close()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """One process for the tests that leave nothing behind."""
    witness = Running(tmp_path_factory.mktemp("witness"))
    yield witness
    witness.close()


def test_every_answer_of_the_protocol_over_http(running):
    status, line, _ = running.add(LOG.request(0, 9))
    assert status == 200
    assert notes.cosignatures(LOG.note(9) + line, witnesses=[running.key])[0].at == pytest.approx(time.time(), abs=60)
    assert running.ask("GET", f"/{LOG.hash}/checkpoint") == (200, LOG.note(9) + line, "text/plain; charset=utf-8")
    assert running.add(b"old 9\n")[0] == 400
    assert running.add(WatchedLog(seed=9).request(9, 20))[0] == 403
    assert running.add(WatchedLog(origin="nobody.invalid").request(0, 9))[0] == 404
    assert running.add(LOG.request(3, 20)) == (409, b"9\n", "text/x.tlog.size")
    assert running.add(FORK.request(9, 20))[0] == 422
    assert running.add(FORK.request(9, 9))[0] == 422
    assert running.add(LOG.request(9, 20))[0] == 200
    assert running.ask("GET", f"/{OTHER.hash}/checkpoint")[0] == 404
    assert running.add(OTHER.request(0, 1))[0] == 200
    assert running.ask("GET", "/health")[:2] == (200, b"ok\n")


def test_one_connection_serves_many_requests(running):
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    for old, new in ((0, 1), (1, 5), (5, 5), (5, 64)):
        connection.request("POST", "/add-checkpoint", LOG.request(old, new))
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:3]) == (200, "—".encode())
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/add-checkpoint", 404),
        ("GET", f"/{LOG.hash.upper()}/checkpoint", 404),
        ("GET", f"/{LOG.hash}/checkpoint/", 404),
        ("GET", "/../w.key", 404),
        ("POST", "/", 404),
        ("POST", f"/{LOG.hash}/checkpoint", 404),
        ("PUT", "/add-checkpoint", 501),
        ("DELETE", f"/{LOG.hash}/checkpoint", 501),
    ],
)
def test_other_routes_and_methods_are_refused_in_plain_words(lasting, method, path, status):
    body = LOG.request(0, 9) if method in {"POST", "PUT"} else None
    answered, said, kind = lasting.ask(method, path, body)
    assert (answered, kind) == (status, "text/plain; charset=utf-8")
    assert said in {b"not found\n", b"refused\n"}


TOO_LONG = server_module.MAX_BODY + 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("", 411),
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 411),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 1_0\r\n", 400),
        ("Content-Length: five\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 50\r\n", 400),
        (f"Content-Length: {TOO_LONG}\r\n", 413),
        ("Content-Length: 99999999999999999999\r\n", 400),
        ("X: y\r\n" * 200, 431),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_and_the_connection_ended(lasting, head, status):
    got = lasting.raw(f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n{head}\r\nold 0".encode())
    assert got.startswith(f"HTTP/1.1 {status} ".encode()), got
    assert b"Connection: close" in got
    assert lasting.ask("GET", "/health")[0] == 200


@given(st.binary(max_size=400) | st.sampled_from([b"POST", b"GET"]).flatmap(lambda m: st.binary().map(m.__add__)))
@example(b"GET /health HTTP/9.9\r\n\r\n")
@example(b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n")
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_bring_it_down_or_come_back_as_they_were_sent(lasting, data):
    got = lasting.raw(data + b"MARK\r\n\r\n")
    assert b"MARK" not in got
    assert b" 200 " not in got.split(b"\r\n")[0] or data.startswith(b"GET /health")
    assert lasting.process.poll() is None


@given(st.binary(max_size=600))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_answered_with_a_fault(lasting, body):
    assert lasting.add(body)[0] == 400


def test_twenty_publishers_at_once_leave_one_history(running):
    running.add(LOG.request(0, 5))
    answers = []

    def ask(size: int) -> None:
        answers.append((size, running.add(LOG.request(5, size))[0]))

    threads = [threading.Thread(target=ask, args=[size]) for size in range(6, 26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    won = [size for size, status in answers if status == 200]
    assert (len(won), {status for _, status in answers}) == (1, {200, 409})
    assert running.add(LOG.request(0, 5))[1] == b"%d\n" % won[0]


def test_after_a_restart_it_is_the_same_witness_and_remembers(running):
    running.add(LOG.request(0, 9))
    key, served = running.key, running.ask("GET", f"/{LOG.hash}/checkpoint")
    running.close()
    running.start()
    assert (running.key, running.ask("GET", f"/{LOG.hash}/checkpoint")) == (key, served)
    assert running.add(LOG.request(0, 4)) == (409, b"9\n", "text/x.tlog.size")


def forgotten_after(witness: Running, kills: int) -> list[int]:
    """Kill it again and again while it is being asked; how many entries of what it answered each next start forgot."""
    forgotten, answered = [], 0
    for number in range(kills):
        end = threading.Timer(0.05 + 0.02 * number, witness.process.kill)
        end.start()
        try:
            while answered < 60:
                status, said, _ = witness.add(LOG.request(answered, answered + 1))
                answered = answered + 1 if status == 200 else int(said)
        except (OSError, http.client.HTTPException):
            pass
        end.join()
        witness.kill()
        witness.start()
        remembered = int(witness.add(LOG.request(63, 64))[1])
        forgotten.append(answered - remembered)
        answered = remembered
    assert answered > 0
    return forgotten


def test_killed_at_any_moment_it_has_forgotten_nothing_it_answered(running):
    assert max(forgotten_after(running, 8)) <= 0


def test_the_seeded_defect_an_answer_before_the_disk_is_forgotten(tmp_path):
    witness = Running(tmp_path, patch=ANSWERS_FIRST)
    try:
        assert witness.add(LOG.request(0, 1))[0] == 200
        witness.kill()
        witness.start()
        assert witness.add(LOG.request(1, 2)) == (409, b"0\n", "text/x.tlog.size")
    finally:
        witness.close()


def test_slow_speakers_are_cut_and_others_are_served_meanwhile_and_after(tmp_path):
    witness = Running(tmp_path, patch=SHORT_LIVES)
    try:
        slow = [socket.create_connection(("127.0.0.1", witness.port), timeout=30) for _ in range(7)]
        for link in slow:
            link.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 100\r\n\r\nol")
        assert witness.ask("GET", "/health")[0] == 200
        began, alive = time.monotonic(), list(slow)
        while alive and time.monotonic() - began < 20:
            alive = [link for link in alive if trickles(link)]
            time.sleep(0.1)
        assert time.monotonic() - began < 10
        assert alive == []
        assert witness.add(LOG.request(0, 3))[0] == 200
        for link in slow:
            link.close()
    finally:
        witness.close()


def trickles(link: socket.socket) -> bool:
    """Send one more byte; whether the other side still listens."""
    link.settimeout(0)
    try:
        link.send(b"d")
        return link.recv(1000) != b"" and False
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_too_many_at_once_are_turned_away_and_there_is_room_again_later(tmp_path):
    witness = Running(tmp_path, patch=SHORT_LIVES)
    try:
        idle = [socket.create_connection(("127.0.0.1", witness.port), timeout=30) for _ in range(8)]
        time.sleep(0.3)
        assert witness.raw(b"").startswith(b"HTTP/1.1 503 ")
        for link in idle:
            link.close()
        deadline = time.monotonic() + 20
        while witness.raw(b"GET /health HTTP/1.1\r\n\r\n")[9:12] != b"200":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        witness.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--log"),
        (["--log", "garbage", "--name", "w"], "--log takes a verifier key"),
        (["--log", str(LOG.vkey)], "no-name"),
        (["--log", str(LOG.vkey), "--name", "two words"], "no plus sign"),
        (["--log", str(LOG.vkey), "--name", "w", "--listen", "here"], "HOST:PORT"),
        (["--log", str(LOG.vkey), "--name", "w", "--listen", "127.0.0.1:99999"], "refused"),
        (["--log", str(LOG.vkey), "--name", "w", "--db", "/nowhere/at/all"], "unable to open"),
    ],
)
def test_what_cannot_start_says_why_and_exits_2(tmp_path, arguments, said):
    done = subprocess.run(
        [sys.executable, "-m", "audit.witness", "--listen", "127.0.0.1:0", *arguments],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_it_stops_when_asked_to(running):
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=30) == 0


def test_it_starts_where_there_is_no_django(tmp_path):
    program = "import sys; sys.modules['django'] = None; import audit.witness.__main__; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "'audit.notes'" in done.stdout
    assert "psycopg" not in done.stdout
