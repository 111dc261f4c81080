"""The figure of kill -9 in every part of the house; the house runs in a process and a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .figure import Figure

ROOT = Path(__file__).resolve().parents[2]
PROMISED_S, PROMISED_FROM = 30.0, 500  # seconds at p99, judged where there are enough of them
OTHERS = ("DATABASE_URL", "CELERY_BROKER", "AUDIT_", "CLINAIOPS_HOME")


def kill(kills: int, *, seed: int) -> Figure:
    """So many kills, spread evenly. What does not hold afterwards is a failure, by name."""
    with tempfile.TemporaryDirectory(prefix="k") as own:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
        done = subprocess.run(
            [sys.executable, "-m", "tests.campaigns.killing", str(kills), str(seed)],
            cwd=ROOT,
            env=environment | {"CLINAIOPS_HOME": own},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    said = json.loads(done.stdout.splitlines()[-1])
    if kills >= PROMISED_FROM and said["recovery_s"]["p99"] > PROMISED_S:
        said["broken"].append(f"I6: p99 of recoveries {said['recovery_s']['p99']} s")
    for broken in said["broken"]:
        print(broken)
    told = {name: said[name] for name in ("kills", "recovery_s", "acknowledged", "entries", "checkpoints")}
    detail = f"{json.dumps(told)}; the early answer lost {said['early_lost']} acknowledged readings"
    return Figure(sum(said["kills"].values()), len(said["broken"]), seed, said["early_lost"] > 0, detail)
