"""Both verifiers on what others say: timestamp tokens under the auditor's roots, and a witness's newest head."""

import random
import threading
from collections import Counter
from datetime import timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.audit.authority import Authority
from tests.audit.second.judge import judge as second
from tests.audit.second.mutating import bent
from tests.audit.verify.judging import judge as first
from tests.audit.verify.maker import NOON, Log, b64, usual, zipped

SEED = 20261122
authorities = lru_cache(maxsize=1)(lambda: (Authority(), Authority(), Authority(stamps=False)))
SHIFTS = (-3600, -20, -1, 0, 5, 20, 3600)


def both(folder, bundle: bytes, log: Log, *asked: str, tsa: bytes | None = None, online: bytes | None = None) -> tuple:
    """What the two say: exit, class and position each."""
    report = first(folder, bundle, log, *asked, **({"tsa": [tsa]} if tsa is not None else {}))
    failure = report["failure"] or {}
    other = second(bundle, log.policy(), tsa=tsa, online=online)
    told = (report["exit"], failure.get("class"), failure.get("position"))
    return told, (other.exit, other.kind, other.position)


def stamped(dice: random.Random) -> tuple[bytes, Log, bytes]:
    """A log with tokens on some checkpoints: good ones, bent ones, of another time, text, authority or use."""
    log, (authority, stranger, no_clock) = usual(), authorities()
    for size, line in log.checkpoints.items():
        if dice.random() < 0.4:
            continue
        by = dice.choice((authority, authority, authority, stranger, no_clock))
        text = log.head(size) if dice.random() < 0.85 else b"something else\n"
        token = by.stamp(text, NOON + timedelta(seconds=dice.choice(SHIFTS)))
        token = bent(token, dice) if dice.random() < 0.3 else token
        line["timestamp"] = b64(token)
    roots = authority.pem if dice.random() < 0.8 else dice.choice((b"no roots", stranger.pem + authority.pem))
    return zipped(log.members()), log, roots


def test_tokens_are_judged_alike(tmp_path):
    dice, exits, kinds = random.Random(SEED), Counter(), Counter()
    for number in range(150):
        told, other = both(tmp_path, *(case := stamped(dice))[:2], tsa=case[2])
        assert told == other, number
        exits[told[0]] += 1
        kinds[told[1]] += 1
    assert min(exits[status] for status in (0, 1, 2)) >= 5, exits
    assert min(kinds[kind] for kind in ("token", "token-time", "tsa-roots")) >= 3, kinds


class Witness(BaseHTTPRequestHandler):
    answer = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def witness():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Witness)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(dice: random.Random) -> tuple[bytes, Log, bytes]:
    """A bundle, and a witness's newest head: the same log's, another's, a longer one's from before or since, bent."""
    log = usual()
    size = dice.choice(sorted(log.checkpoints))
    made = log.now + timedelta(seconds=dice.choice((-600, -1, 0, 1, 600)))
    bundle = zipped(log.members(size=size, made_at=made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")))
    if dice.random() < 0.2:
        log.hashes[3] = b"\1" * 32
    at = made + timedelta(seconds=dice.choice((-60, -3, -2, -1, 0, 1, 60)))
    head = dice.choice(sorted(log.checkpoints))
    log.checkpoint(*dice.choice(((), ("w1",), ("nobody",))), at=at, size=head)
    answer = log.checkpoints[head]["note"].encode()
    return bundle, log, bent(answer, dice) if dice.random() < 0.2 else answer


def test_heads_of_a_witness_are_judged_alike(tmp_path, witness):
    dice, kinds = random.Random(SEED), Counter()
    for number in range(150):
        bundle, log, Witness.answer = asked(dice)
        told, other = both(tmp_path, bundle, log, "--online", witness, online=Witness.answer)
        assert told[:2] == other[:2], number
        kinds[told[1]] += 1
    assert min(kinds[kind] for kind in (None, "seen-root", "seen-longer", "seen-form")) >= 5, kinds


def test_a_second_verifier_that_believes_tokens_is_seen(tmp_path):
    """The seeded defect: one of the two is not given the roots, so that it believes every token."""
    log = usual()
    log.checkpoints[10]["timestamp"] = b64(b"no token")
    bundle = zipped(log.members())
    assert second(bundle, log.policy()).exit == 0
    assert second(bundle, log.policy(), tsa=authorities()[0].pem).kind == "token"
    assert first(tmp_path, bundle, log, tsa=[authorities()[0].pem])["failure"]["class"] == "token"
