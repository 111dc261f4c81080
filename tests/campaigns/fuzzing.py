"""Random damage to everything the offline verifier reads: guided by atheris where it can be imported, else by chance.

A try fails when damaged input is called good, or when the verifier itself fell over. The seeded defect is a verifier
that takes readings as they come; the same tries, aimed at the readings, must see it.
"""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from typing import Any

from audit.verify.__main__ import verify
from tests.audit.verify.fuzzing import SITES, NotRefused, Verifier, attack
from tests.campaigns.figure import Figure

AIMED = 300


def _bytes(chance: random.Random, site: int | None = None) -> bytes:
    """One try: a place, a way to damage it, and up to 64 bytes, often printable ones."""
    first = chance.randrange(256) if site is None else site + len(SITES) * 11
    piece = chance.randbytes(chance.choice([1, 1, 2, 4, 8, 16, 64]))
    if chance.random() < 0.5:
        piece = bytes(chance.choice(b'0123456789abcdefABCDEF{}[]",:-+/=\n \\') for _ in piece)
    return bytes([first, chance.randrange(5)]) + chance.randbytes(2) + piece


def _believing(arguments: list[str], report: dict[str, Any]) -> None:
    """The seeded defect: a verifier that takes readings as they come."""
    verify(arguments, report)
    if (report["failure"] or {}).get("class") == "batch-root":
        report |= {"result": "ok", "exit": 0, "failure": None}


def _missed(tries: int, chance: random.Random, site: int | None = None, verifier: Verifier = verify) -> int:
    missed = 0
    for _ in range(tries):
        try:
            attack(_bytes(chance, site), verifier=verifier)
        except NotRefused:
            missed += 1
    return missed


def verifier_fuzz(n: int, *, seed: int) -> Figure:
    """`n` tries; how many were not refused."""
    chance = random.Random(seed)
    if importlib.util.find_spec("atheris"):
        run = [sys.executable, "-m", "tests.audit.verify.fuzzing", f"-atheris_runs={n}", f"-seed={seed}"]
        failed, how = int(subprocess.run(run, check=False).returncode != 0), "guided by atheris"
    else:
        failed, how = _missed(n, chance), "by chance; atheris is not installed here"
    readings = SITES.index("batches.jsonl")
    caught = _missed(AIMED, chance, readings, _believing)
    sound = _missed(AIMED, chance, readings)
    return Figure(n, failed + sound, seed, caught > 0, f"{how}; of {AIMED} aimed tries the defect showed in {caught}")
