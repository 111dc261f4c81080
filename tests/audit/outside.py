"""The offline verifier, run over a bundle as somebody else would: under a policy file of their own."""

import json
import subprocess
import sys
from pathlib import Path

from audit.models import Checkpoint
from audit.services import keys

ROOT = Path(__file__).resolve().parents[2]


def policy_beside(bundle: Path) -> Path:
    """A policy file that names this log's keys and asks for no witness."""
    policy = bundle.with_suffix(".policy")
    log_key = Checkpoint.objects.order_by("-size").first().key_name
    policy.write_text(f"log {log_key}\nstatement {keys.statement_vkey()}\nquorum none\n", encoding="utf-8")
    return policy


def verdict(bundle: Path) -> tuple[int, dict]:
    """Exit status and report of `python -m audit.verify`."""
    command = [sys.executable, "-m", "audit.verify", str(bundle), "--policy", str(policy_beside(bundle)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, json.loads(done.stdout)
