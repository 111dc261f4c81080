"""What may be put into the verifier, and what must come out whatever it was: a verdict that is not good, by name.

`attack(data)` is one try from raw bytes: for hypothesis, for the campaign, and for atheris where it can be imported
(`python -m tests.audit.verify.fuzzing`). The first byte chooses what the rest is done to.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from audit.verify.__main__ import verify
from tests.audit.verify.maker import Log, Passkey, usual, zipped

Verifier = Callable[[list[str], dict[str, Any]], None]
SITES = ("file", "assertions.jsonl", "batches.jsonl", "checkpoints.jsonl", "entries.jsonl", "manifest.json")
SITES += ("heads.jsonl", "manifest.note", "payloads.jsonl", "rest.jsonl", "policy", "receipt", "seen")


class NotRefused(AssertionError):
    """The verifier called damaged input good, or fell over."""


@lru_cache(maxsize=1)
def whole() -> tuple[Log, dict[str, bytes]]:
    """A log with a signature in it, and its bundle of a selection."""
    log, passkey = usual(), Passkey()
    passkey.enrol(log)
    passkey.sign(log)
    log.checkpoint()
    return log, log.members(take=lambda p: p not in {6, 9}, complete=False)


@lru_cache(maxsize=1)
def _parts() -> dict[str, bytes]:
    log, members = whole()
    seen = log.checkpoints[5]["note"].encode()
    return members | {"file": zipped(members), "policy": log.policy(), "receipt": log.receipt(3), "seen": seen}


def damaged(site: str, data: bytes) -> bytes:
    """The part with the bytes laid over it, pushed into it, cut out of it, or in its stead."""
    part = _parts()[site]
    if len(data) < 4:
        return data
    how, at, body = data[0] % 5, int.from_bytes(data[1:3], "big") % (len(part) + 1), data[3:]
    return {
        0: part[:at] + body + part[at + len(body) :],
        1: part[:at] + body + part[at:],
        2: part[:at] + part[at + len(body) :],
        3: body,
        4: part[:at] + bytes(a ^ b for a, b in zip(part[at:], body, strict=False)) + part[at + len(body) :],
    }[how]


def attack(data: bytes, *, verifier: Verifier = verify) -> dict | None:
    """One try; the report, None when nothing was changed. Raises NotRefused."""
    if not data:
        return None
    site = SITES[data[0] % len(SITES)]
    bent = damaged(site, data[1:])
    if bent == _parts()[site]:
        return None
    log, members = whole()
    parts = _parts() | {site: bent}
    resign = site.endswith(".jsonl") and data[0] & 0x80
    bundle = parts["file"]
    if site in members:
        bundle = zipped(log.resigned(members | {site: bent}) if resign else members | {site: bent})
    report = ask(bundle, parts["policy"], parts["receipt"], parts["seen"], verifier=verifier)
    failure = report["failure"] or {}
    if failure.get("class") == "verifier-fault":
        raise NotRefused(f"{site}: {failure['detail']}")
    if report["exit"] not in {1, 2} and not harmless(site, bent):
        raise NotRefused(f"{site}: exit {report['exit']} for {bent[:200]!r}")
    return report


def harmless(site: str, bent: bytes) -> bool:
    """The same said otherwise is no damage: another policy, a zip with other dates, a stranger's signature.

    A cosignature may also be missing from one checkpoint of several; its text may not be another.
    """
    part = _parts()[site]
    if site == "policy":
        return True  # the auditor's own word: if it can be read as a policy, it is one
    if site == "file":
        return _contents(bent) == _contents(part)
    if site == "checkpoints.jsonl":
        return _heads(bent) == _heads(part)
    return site in {"seen", "receipt", "manifest.note"} and _text(bent) == _text(part)


def _text(note: bytes) -> bytes:
    return note.rpartition(b"\n\n")[0]


def _heads(lines: bytes) -> list[tuple[int, bytes]]:
    return [(each["size"], _text(each["note"].encode())) for each in map(json.loads, lines.splitlines())]


def _contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as held:
        return {info.filename: held.read(info) for info in held.infolist()}


def ask(bundle: bytes, policy: bytes, receipt: bytes, seen: bytes, *, verifier: Verifier = verify) -> dict:
    """The report on these bytes as files."""
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for name, held in (("bundle", bundle), ("policy", policy), ("receipt", receipt), ("seen", seen)):
            names.append(Path(folder) / name)
            names[-1].write_bytes(held)
        report = {"result": "unusable", "exit": 2, "failure": None}
        asked = [names[0], "--policy", names[1], "--receipts", names[2], "--seen", names[3]]
        verifier([str(each) for each in asked], report)
    return report


def main() -> None:
    """Fuzz with atheris until it is stopped."""
    import atheris  # where somebody installed it

    atheris.instrument_all()
    atheris.Setup(sys.argv, lambda data: attack(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
