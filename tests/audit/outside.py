"""The offline verifier, run over a bundle as somebody else would: under a policy file of their own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from audit.models import Checkpoint
from audit.services import keys

ROOT = Path(__file__).resolve().parents[2]


def policy_beside(bundle: Path, *witnesses: str) -> Path:
    """A policy file that names this log's keys and these witnesses with their quorum; without any it asks for none."""
    policy = bundle.with_suffix(".policy")
    log_key = Checkpoint.objects.order_by("-size").first().key_name
    lines = [f"log {log_key}", f"statement {keys.statement_vkey()}", *(witnesses or ["quorum none"]), ""]
    policy.write_text("\n".join(lines), encoding="utf-8")
    return policy


def verdict(bundle: Path, *witnesses: str, more: Sequence[str] = ()) -> tuple[int, dict]:
    """Exit status and report of `python -m audit.verify`."""
    policy = policy_beside(bundle, *witnesses)
    command = [sys.executable, "-m", "audit.verify", str(bundle), "--policy", str(policy), "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, json.loads(done.stdout)
