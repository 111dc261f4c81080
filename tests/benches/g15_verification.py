"""G15: the offline verifier over a bundle beside reading, spelling and hashing the same records.

A record is what the bundle holds of one entry: the entry itself and its payload. The other arm does no more than
`json.loads`, canonical dump and SHA-256 of each, lines already in memory: no zip, no schema, no tree, no chain, no
signatures, no commitments.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

from audit.verify.__main__ import main as verify
from tests.benches.measuring import Goal, Means
from tests.campaigns.million import write

NAME = "G15"
ENTRIES = 20_000


@contextmanager
def prepared(folder: Path) -> Iterator[Goal]:
    """The goal over a bundle made for it."""
    bundle, policy = folder / "bundle.zip", folder / "policy"
    policy.write_bytes(write(bundle, ENTRIES).policy())
    with zipfile.ZipFile(bundle) as held:
        entries = [line.split(b" ", 1)[1] for line in held.read("entries.jsonl").splitlines()]
        payloads = [_body(line) for line in held.read("payloads.jsonl").splitlines()]
    arms = {
        "verified": partial(_verified, bundle, policy),
        "hashed": partial(_hashed, entries, payloads),
        "hashed_entries_only": partial(_hashed, entries, []),
    }
    what = f"records per second of {ENTRIES:,}, each an entry with its payload, fully verified"
    yield Goal(what, 0.7, Means.RATE_AT_LEAST, "verified", "hashed", arms, partial(_gate, bundle, policy), rounds=7)


def _body(line: bytes) -> bytes:
    body: str = json.loads(line)["body"]
    return body.encode()


def _verified(bundle: Path, policy: Path) -> float:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert verify([str(bundle), "--policy", str(policy)]) == 0, out.getvalue()
    return ENTRIES


_spelled = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _hashed(entries: list[bytes], payloads: list[bytes]) -> float:
    for records in (entries, payloads):
        for record in records:
            sha256(_spelled(json.loads(record)).encode()).digest()
    return ENTRIES


def _gate(bundle: Path, policy: Path) -> None:
    """It calls the bundle good, and the same bundle with one byte of one payload changed wrong."""
    _verified(bundle, policy)
    wrong = bundle.with_name("wrong.zip")
    log = write(wrong, 200, defect=100)
    policy_of_it = bundle.with_name("wrong.policy")
    policy_of_it.write_bytes(log.policy())
    with contextlib.redirect_stdout(io.StringIO()):
        assert verify([str(wrong), "--policy", str(policy_of_it)]) == 1
