"""Two verifiers, one specification: a hundred thousand bundles, honest and damaged, judged by both.

A try fails when they differ. Every fiftieth is a report as PDF. The seeded defect is a first verifier that takes
readings as they come; the same counting must see it.
"""

from __future__ import annotations

import multiprocessing
import os

from tests.audit.second.agreeing import Comparison, missing
from tests.audit.tamper.trial import desk

from .figure import Figure

AIMED = 400
PAPERS = 50


def differential(n: int, *, seed: int) -> Figure:
    """`n` bundles; on how many the verifiers differed."""
    processes = min(os.cpu_count() or 1, n)
    total = Comparison(seed)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for part in pool.starmap(_part, [(n, seed, first, processes) for first in range(processes)]):
            total.exits.update(part.exits)
            total.classes.update(part.classes)
            total.differ += part.differ
    for line in total.differ[:20]:
        print(line)
    blind = Comparison(seed)
    with desk() as folder:
        blind.compare(range(AIMED), folder, verifier=missing("batch-root", "batch-stray"))
    exits = ", ".join(f"exit {status}: {count}" for status, count in sorted(total.exits.items()))
    detail = f"{exits}; {len(total.classes)} classes; the defect showed in {len(blind.differ)} of {AIMED}"
    failed = len(total.differ) + abs(n - total.exits.total())
    return Figure(n, failed, seed, len(blind.differ) > 0, detail)


def _part(n: int, seed: int, first: int, step: int) -> Comparison:
    """Every `step`th number from `first`: the cases go by number, so they are the same on any machine."""
    compared = Comparison(seed, papers=PAPERS)
    with desk() as folder:
        compared.compare(range(first, n, step), folder)
    return compared
