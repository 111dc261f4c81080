"""Ten thousand random tampers and as many honest logs, judged by the offline verifier (N1, N2, SECURITY 2.1)."""

from __future__ import annotations

import multiprocessing
import os

from tests.audit.tamper.trial import Tally, clean, desk, tampered, worlds

from .figure import Figure

SIZES = (*(200,) * 18, *(240,) * 6, *(300,) * 4, 400, 400, 1000, 2000)
HONEST_SIZES = range(10, 60)
CONTROLLED = 4
"""The verifiers that believe too much judge every fourth round of operations."""


def tamper(n: int, *, seed: int) -> Figure:
    """Undetected and falsely accused are failures. The seeded defects are three verifiers that believe too much: all
    must be seen to miss, and the one without a witness every log cut back to an older checkpoint.
    """
    processes = min(os.cpu_count() or 1, n)
    tally = Tally(seed)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for part in pool.starmap(_part, [(n, seed, first, processes) for first in range(processes)]):
            tally.take(part)
    for line in (*tally.undetected[:20], *tally.false_alarms[:20]):
        print(line)
    missed = all(tally.found_by(control) < tally.controlled.total() for control in tally.by_control)
    caught = missed and tally.by_control["no witness"]["T9"] == 0 < tally.controlled["T9"]
    failed = len(tally.undetected) + len(tally.false_alarms) + abs(n - tally.n) + abs(n - tally.clean)
    return Figure(n, failed, seed, defect_caught=caught, detail=tally.table())


def _part(n: int, seed: int, first: int, step: int) -> Tally:
    """Every `step`th number from `first`: the dice go by number, so the counts are the same on any machine."""
    tally, numbers = Tally(seed), range(first, n, step)
    with desk() as folder:
        tampered(tally, worlds(seed, SIZES), numbers, folder=folder, every=CONTROLLED)
        clean(tally, numbers, folder=folder, sizes=HONEST_SIZES)
    return tally
