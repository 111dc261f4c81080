"""The campaigns: `python -m tests.campaigns [NAME,NAME...] [--seed N] [--n N]`, or `make campaign ONLY=...`.

Each runs on a fresh copy of the migrated test database. For each it prints how often it was tried, the seed, how often
it failed, and whether the seeded defect was caught; `campaign.json` keeps the same. It exits 0 only when nothing failed
and every seeded defect was caught.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["CLINAIOPS_SEES"] = "everything"
django.setup()

from django.test.utils import override_settings  # noqa: E402

from config.grants import connect_as_owner  # noqa: E402
from tests.campaigns.crashing import crash_points  # noqa: E402
from tests.campaigns.differing import differential  # noqa: E402
from tests.campaigns.figure import Figure  # noqa: E402
from tests.campaigns.fuzzing import verifier_fuzz  # noqa: E402
from tests.campaigns.killed import kill  # noqa: E402
from tests.campaigns.million import million  # noqa: E402
from tests.campaigns.mutating import every_mutant  # noqa: E402
from tests.campaigns.racing import WORKERS, concurrent, double_submit  # noqa: E402
from tests.campaigns.simulating import cohort  # noqa: E402
from tests.campaigns.swapping import object_ids  # noqa: E402
from tests.campaigns.tampering import tamper  # noqa: E402
from tests.real_database import create_copy, drop_copy, using_database  # noqa: E402

OUT = Path("campaign.json")
SEED = 20261122


def _concurrent(n: int, seed: int, database: str) -> Figure:
    with connect_as_owner(name=database) as owner, owner.cursor() as cursor:
        return concurrent(-(-n // WORKERS), seed=seed, owner=cursor)


CAMPAIGNS: Mapping[str, tuple[int, Callable[[int, int, str], Figure]]] = {
    "concurrent": (10_000, _concurrent),
    "double_submit": (10_000, lambda n, seed, _db: double_submit(-(-n // WORKERS), seed=seed)),
    "object_ids": (10_000, lambda n, seed, _db: object_ids(n, seed=seed)),
    "crash_points": (10, lambda n, seed, _db: crash_points(n, seed=seed)),
    "kill": (1_000, lambda n, seed, _db: kill(n, seed=seed)),
    "tamper": (10_000, lambda n, seed, _db: tamper(n, seed=seed)),
    "million": (1_000_000, lambda n, seed, _db: million(n, seed=seed)),
    "differential": (100_000, lambda n, seed, _db: differential(n, seed=seed)),
    "cohort": (2_000, lambda n, seed, _db: cohort(n, seed=seed)),
    "mutants": (100_000, lambda n, seed, _db: every_mutant(n, seed=seed)),
    "verifier_fuzz": (20_000, lambda n, seed, _db: verifier_fuzz(n, seed=seed)),
}


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    kept: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    holds = True
    for name in asked.names:
        usual, run = CAMPAIGNS[name]
        database = create_copy()
        began = time.monotonic()
        try:
            with (
                using_database(database),
                override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]),
            ):
                figure = run(asked.n or usual, asked.seed, database)
        finally:
            drop_copy(database)
        kept[name] = _kept(figure, time.monotonic() - began)
        OUT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        print(_line(name, kept[name], figure.detail), flush=True)
        holds = holds and figure.failed == 0 and figure.defect_caught
    return 0 if holds else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign")
    parser.add_argument("names", nargs="?", default=",".join(CAMPAIGNS), type=str)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--n", type=int, default=0)
    asked = parser.parse_args()
    asked.names = [name for name in asked.names.split(",") if name]
    unknown = sorted(set(asked.names) - set(CAMPAIGNS))
    if unknown:
        parser.error(f"there is no campaign {', '.join(unknown)}; there are {', '.join(CAMPAIGNS)}")
    return asked


def _kept(figure: Figure, seconds: float) -> dict[str, Any]:
    return {
        "n": figure.n,
        "failed": figure.failed,
        "seed": figure.seed,
        "defect_caught": figure.defect_caught,
        "seconds": round(seconds, 1),
    }


def _line(name: str, kept: Mapping[str, Any], detail: str) -> str:
    rate = f"at most {300 / kept['n']:.3g} % (95 %)" if kept["failed"] == 0 else "see above"
    caught = "caught" if kept["defect_caught"] else "NOT CAUGHT"
    more = f"; {detail}" if detail else ""
    return (
        f"{name}: {kept['failed']} failed of {kept['n']} (seed {kept['seed']}, {kept['seconds']} s), {rate}; "
        f"seeded defect {caught}{more}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
