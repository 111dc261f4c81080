"""The command: `python -m tests.benches [NAME,NAME...]`, or `make bench ONLY=...`.

Prints each goal as a ratio with its spread, writes `bench.json`, and exits 0 only when every goal asked for holds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import re
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["CLINAIOPS_SEES"] = "everything"
django.setup()

import tests.benches as here  # noqa: E402
from tests.benches.measuring import Goal, line, measure  # noqa: E402

OUT = Path("bench.json")
GOAL_MODULE = re.compile(r"g\d+_\w+")
Prepared = Callable[[Path], AbstractContextManager[Goal]]


def goals() -> dict[str, Prepared]:
    """Every goal there is: `NAME` and `prepared` of each module beside this one; a module may have several `GOALS`."""
    found: dict[str, Prepared] = {}
    for module in pkgutil.iter_modules(here.__path__):
        if GOAL_MODULE.fullmatch(module.name):
            held = importlib.import_module(f"{here.__name__}.{module.name}")
            found.update(getattr(held, "GOALS", None) or {held.NAME: held.prepared})
    return dict(sorted(found.items()))


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for."""
    known = goals()
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("names", nargs="?", default=",".join(known))
    asked = [name for name in parser.parse_args(arguments).names.split(",") if name]
    unknown = sorted(set(asked) - set(known))
    if unknown:
        parser.error(f"there is no goal {', '.join(unknown)}; there are {', '.join(known)}")
    kept: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    holds = True
    for name in asked:
        with tempfile.TemporaryDirectory() as folder, known[name](Path(folder)) as goal:
            kept[name] = measure(goal)
        OUT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        print(line(name, kept[name]), flush=True)
        holds = holds and kept[name]["holds"]
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
