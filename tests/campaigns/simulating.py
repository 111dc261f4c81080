"""The acceptance checks of the cohort simulator at their full size, and every seeded defect beside them (EFFECTS 8)."""

from __future__ import annotations

import numpy as np

from care_loops.pathways.hypertension.cohort_simulator.checks import acceptance, as_table
from care_loops.pathways.hypertension.cohort_simulator.parameters import published
from care_loops.pathways.hypertension.cohort_simulator.trials import also_seen
from tests.campaigns.figure import Figure
from tests.care_loops.cohort_defects import DEFECTS

REPLICATES = 20


def cohort(n: int, *, seed: int) -> Figure:
    """`n` people an arm, 20 replicates: how many quantities lie outside their bands."""
    checks = acceptance(published(), people=n, seeds=tuple(seed + each for each in range(REPLICATES)))
    caught = all(_seen(changes=defect.changes, measure=defect.measure) >= defect.breaks for defect in DEFECTS)
    more = also_seen(20 * n, published(), np.random.default_rng(seed))
    said = ", ".join(f"{name} {value:.3g}" for name, value in more.items())
    failed = sum(not check.holds for check in checks)
    return Figure(n, failed, seed, caught, f"without a verdict: {said}\n{as_table(checks)}")


def _seen(*, changes: dict[str, float], measure: str) -> set[str]:
    found = acceptance(published().changed(changes), people=300, seeds=(1,), measures=[measure])
    return {check.quantity for check in found if not check.holds}
