"""A log of a million entries, and how long the offline verifier takes over it on one core, in how much memory.

The bundle is made in streams (every entry has its own id, payload and place in an object's chain of eight), signed and
cosigned every 100 entries. The verifier runs as a process of its own with one thread; its time is that of the core,
since the machine may be busy. The seeded defect is the same file with one byte of one payload changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from tests.audit.verify.maker import Log, b64, note, spell, stamp
from tests.campaigns.figure import Figure

SECONDS, MEBIBYTES = 120, 512
EVERY, CHAIN = 100, 8


class _Tree:
    """A compact range of its own, so that a million leaves need no million-fold recursion."""

    def __init__(self) -> None:
        self.size, self.hashes = 0, list[bytes]()

    def add(self, node: bytes) -> None:
        at = self.size
        while at & 1:
            node, at = sha256(b"\x01" + self.hashes.pop() + node).digest(), at >> 1
        self.hashes.append(node)
        self.size += 1

    def root(self) -> bytes:
        node = self.hashes[-1]
        for left in self.hashes[-2::-1]:
            node = sha256(b"\x01" + left + node).digest()
        return node


def _entries(log: Log, n: int, *, defect: int | None) -> Iterator[tuple[int, dict[str, Any], dict[str, Any]]]:
    """Position, entry, payload line."""
    chains: dict[str, str] = {}
    for position in range(n):
        name, version = f"loop-{position // (CHAIN * 16) * 16 + position % 16}", position // 16 % CHAIN + 1
        at = stamp(log.now + timedelta(milliseconds=10 * position))
        salt, body = sha256(b"%d" % position).digest(), spell({"mean": f"{position}", "unit": "mm[Hg]"})
        entry = {
            "v": 1, "id": f"019ca945-0000-7000-8000-{position:012x}", "type": "window.closed", "at": at,
            "occurred_at": at,
            "actor": {"kind": "service", "id": "close-windows", "session": "ab" * 32}, "purpose": "treatment",
            "object": {"type": "loop", "id": name, "version": version, "prev": chains[name] if version > 1 else None},
            "subject": sha256(name.encode()).hexdigest(), "outcome": "ok", "sw": {"release": "1.0"},
            "payload": {
                "commit": sha256(b"clinaiops/payload-commit/v1" + salt + body).hexdigest(),
                "ref": f"00000000-0000-4000-8000-{position:012x}",
            },
        }  # fmt: skip
        if position == 0:
            body = spell({"origin": log.origin, "vkey": log.log_keys[0].vkey})
            commit = sha256(b"clinaiops/payload-commit/v1" + salt + body).hexdigest()
            entry |= {"type": "log.genesis", "payload": entry["payload"] | {"commit": commit}}
        shown = body.replace(b"mm[Hg]", b"mm[hg]") if position == defect else body
        yield position, entry, {"entry": entry["id"], "salt": salt.hex(), "body": shown.decode()}
        chains[name] = log.leaf_hash(spell(entry)).hex()


def write(path: Path, n: int, *, defect: int | None = None) -> Log:
    """The bundle of everything, `n` entries long."""
    log, tree, digests = Log(genesis=False), _Tree(), {}
    spools = {
        name: path.with_suffix(f".{name}")
        for name in ("checkpoints", "entries", "heads", "payloads", "rest", "batches", "assertions")
    }
    files = {name: spool.open("wb") for name, spool in spools.items()}
    at = int(log.now.timestamp())
    for position, entry, payload in _entries(log, n, defect=defect):
        encoded = spell(entry)
        files["entries"].write(b"%d %b\n" % (position, encoded))
        files["payloads"].write(spell(payload) + b"\n")
        tree.add(log.leaf_hash(encoded))
        if tree.size % EVERY == 0 or tree.size == n:
            text = f"{log.origin}\n{tree.size}\n{b64(tree.root())}\n".encode()
            when = at + tree.size // 100 + 1
            lines = [log.log_keys[0].line(text), *(log.witnesses[name].cosign(text, when) for name in ("w1", "w2"))]
            files["checkpoints"].write(spell({"size": tree.size, "note": note(text, *lines).decode()}) + b"\n")
    for file in files.values():
        file.close()
    for name, spool in spools.items():
        with spool.open("rb") as file:
            digests[f"{name}.jsonl"] = (spool.stat().st_size, file_digest(file, "sha256").hexdigest())
    manifest = spell({
        "v": 1, "format": "clinaiops/bundle/v1", "origin": log.origin, "kind": "everything", "filter": {},
        "made_at": stamp(log.now), "made_by": {"kind": "service", "id": "campaign"}, "size": n,
        "root": tree.root().hex(),
        "entries": n, "payloads": {"included": n, "withheld": 0, "shredded": 0}, "batches": 0, "left_out": [],
        "complete_objects": True,
        "files": [{"name": name, "bytes": size, "sha256": digest} for name, (size, digest) in sorted(digests.items())],
    })  # fmt: skip
    members: dict[str, Path | bytes] = {f"{name}.jsonl": spool for name, spool in spools.items()}
    members |= {"manifest.json": manifest, "manifest.note": log.manifest_note(manifest)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, held in sorted(members.items()):
            target.writestr(name, held) if isinstance(held, bytes) else target.write(held, name)
    for spool in spools.values():
        spool.unlink()
    return log


def verified(path: Path, log: Log) -> tuple[int, float, float, float, str]:
    """Exit status, seconds of one core, seconds by the clock, MiB of memory at most, and what the verifier printed."""
    policy = path.with_suffix(".policy")
    policy.write_bytes(log.policy())
    began = time.monotonic()
    run = [sys.executable, "-m", "audit.verify", str(path), "--policy", str(policy)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as done:
        said = done.stdout.read() if done.stdout else ""
        _, status, used = os.wait4(done.pid, 0)
        done.returncode = os.waitstatus_to_exitcode(status)
    return done.returncode, used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024, said


def million(n: int, *, seed: int) -> Figure:
    """Verify `n` entries; fails when it is not called good, or not within 120 s and 512 MiB (in proportion to `n`)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.zip"
        log = write(path, n)
        size = path.stat().st_size / 2**20
        status, core, clock, mebibytes, _ = verified(path, log)
        place = seed % n
        *_, said = verified(path, write(path, n, defect=place))
    held = status == 0 and core <= SECONDS * max(n / 1e6, 0.05) and mebibytes <= MEBIBYTES
    took = f"{core:.1f} s of one core ({clock:.1f} s by the clock), {mebibytes:.0f} MiB"
    caught = f"WRONG at position {place}: V12 payload-commit" in said
    return Figure(n, int(not held), seed, caught, f"{took}, a bundle of {size:.0f} MiB, exit {status}")
