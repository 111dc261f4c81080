"""From when a boundary needs a pharmacist too: the thresholds in force, and by which of them a boundary is above.

Rules (CLI-06, GOV-04; decision 73)
 * As shipped, or stricter by the site's policy (`approval_thresholds`). A policy that no longer stands asks for a
   pharmacist every time: less is never asked because a file was changed.
 * A drug that is not taken now has no present dose: it counts as one that rises, by no factor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from governance.domain import BadInput
from governance.policy_kinds import PolicyKind, of_kind, values
from governance.selectors import policy_in_force

from ..models import Patient
from .regimen import regimen_now

PATHWAY = "hypertension"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many drugs a boundary may let rise, and to how many times the present dose, without a pharmacist."""

    drugs: int
    factor: Decimal


def thresholds(*, now: datetime) -> Thresholds:
    """The thresholds in force."""
    kind = PolicyKind.APPROVAL_THRESHOLDS
    said = {one.of: one.shipped or "0" for one in of_kind(kind)}
    policy = policy_in_force(kind.value, PATHWAY, now=now)
    if policy is not None:
        try:
            said |= values(kind, policy.body)
        except BadInput:
            said |= {"boundary_drugs": "0"}
    return Thresholds(int(said["boundary_drugs"]), Decimal(said["boundary_factor"]))


def targets_allowed(*, now: datetime) -> tuple[Decimal | None, Decimal | None]:
    """The lowest and the highest systolic target (mmHg, home) that may be signed; None where the site sets no bound.

    Raises BadInput where the site's policy is no longer what was approved: nobody can say what it allows.
    """
    policy = policy_in_force(PolicyKind.TARGETS.value, PATHWAY, now=now)
    said = values(PolicyKind.TARGETS, policy.body) if policy is not None else {}
    lowest, highest = said.get("lowest_systolic"), said.get("highest_systolic")
    return (Decimal(lowest) if lowest else None), (Decimal(highest) if highest else None)


def above(patient: Patient, rising: Iterable[tuple[str, Decimal]], *, now: datetime) -> tuple[str, ...]:
    """By which rows a boundary is above the threshold, from what may rise to which dose (mg a day); none: by none."""
    bar, drugs = thresholds(now=now), tuple(rising)
    taken = {drug.ingredient: drug.daily_dose for drug in regimen_now(patient, now=now).drugs}
    found = ["boundary_drugs"] if len(drugs) > bar.drugs else []
    for ingredient, most in drugs:
        dose = taken.get(ingredient)
        if dose is not None and most > dose.value * bar.factor:
            found.append("boundary_factor")
    return tuple(dict.fromkeys(found))
