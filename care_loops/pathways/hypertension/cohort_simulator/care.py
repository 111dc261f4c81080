"""Who changes what: the next step of a plan, on the ladders and in the order that care itself knows.

Rules (DESIGN 6, CLINICAL 1.5 and 1.6)
 * One change at a time: one rung up or down of a drug that is taken, or the usual first dose of the next class in the
   site's order. A class of which one is taken is not begun again; a mineralocorticoid antagonist not under the eGFR
   of its trials.
 * How many windows over target a protocol asks for is read from the table of protocols.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ....domain.record import DrugClass
from ..tables_therapy import rulebook
from .body import Body
from .drugs import DIASTOLIC, NONE, SYSTOLIC, Flags, Floats, Ints, pharmacy
from .parameters import Parameters
from .people import Chance


class Step(IntEnum):
    """What is done to a regimen."""

    STAY = 0
    UP = 1
    START = 2
    DOWN = 3


@dataclass(frozen=True, slots=True)
class Open:
    """Which steps are open to each person: the slot it would touch, `NONE` where it is not open."""

    up: Ints  # (n,) lowest rung first
    start: Ints  # (n,) first empty slot
    down: Ints  # (n,) highest rung first
    begun: Ints  # (n,) the drug that would be begun, `NONE` where none is left


def places(drug: Ints, multiple: Floats) -> Ints:
    """The rung of each slot, the nearest on its drug's ladder."""
    ladder = pharmacy().ladder[np.maximum(drug, 0)]
    gap = np.where(np.isnan(ladder), np.inf, np.abs(ladder - multiple[..., None]))
    found: Ints = gap.argmin(axis=-1)
    return found


def open_steps(body: Body, *, most: float = 2.0) -> Open:
    """The steps open to each person; none goes over `most` reference doses."""
    shop, drug, multiple = pharmacy(), body.drug, body.multiple
    active = (drug != NONE) & (multiple > 0)
    place = places(drug, multiple)
    top = (np.where(np.isnan(shop.ladder), np.inf, shop.ladder) <= most).sum(axis=1) - 1
    rises = active & (place < top[np.maximum(drug, 0)])
    falls = active & (place > 0)
    begun = _next_drug(body, active)
    empty = ~active
    return Open(
        up=np.where(rises.any(axis=1), np.where(rises, place, 99).argmin(axis=1), NONE),
        start=np.where(empty.any(axis=1) & (begun != NONE), empty.argmax(axis=1), NONE),
        down=np.where(falls.any(axis=1), np.where(falls, place, -1).argmax(axis=1), NONE),
        begun=begun,
    )


def _next_drug(body: Body, active: Flags) -> Ints:
    """The first drug of the site's order of whose class none is taken."""
    shop = pharmacy()
    group = shop.group()
    taken = np.where(active, group[np.maximum(body.drug, 0)], -1)
    begun = np.full(len(body.people), NONE)
    for following in rulebook().order:
        drug = shop.of(following.ingredient)
        has = (taken == group[drug]).any(axis=1)
        if shop.classes[drug] is DrugClass.MRA:
            has |= body.people.egfr < body.p["mra_egfr_least"]
        begun = np.where((begun == NONE) & ~has, drug, begun)
    return begun


def stepped(body: Body, step: Ints, may: Open) -> tuple[Ints, Floats]:
    """The prescription after each person's `Step`; one that is not open leaves it as it is."""
    shop = pharmacy()
    drug, multiple = body.drug.copy(), body.multiple.copy()
    place, rows = places(drug, multiple), np.arange(len(step))
    for kind, slot, by in ((Step.UP, may.up, 1), (Step.DOWN, may.down, -1)):
        who = rows[(step == kind) & (slot != NONE)]
        at = slot[who]
        multiple[who, at] = shop.ladder[drug[who, at], place[who, at] + by]
    who = rows[(step == Step.START) & (may.start != NONE)]
    at = may.start[who]
    drug[who, at] = may.begun[who]
    multiple[who, at] = shop.ladder[may.begun[who], shop.start[may.begun[who]]]
    return drug, multiple


def intensify(body: Body, who: Flags, chance: Chance) -> None:
    """The next step of the plan for these people: another class, or the next rung of one that is taken."""
    may = open_steps(body)
    adds = (chance.random(len(who)) < body.p["plan_adds"]) & (may.start != NONE)
    step = np.where(adds | (may.up == NONE), Step.START, Step.UP)
    body.prescribe(*stepped(body, np.where(who, step, Step.STAY), may))


def target(p: Parameters, whose: str) -> Floats:
    """(2,) the systolic and diastolic target, mmHg, of `office`, `home`, `self` or `programme`."""
    return np.array([p[f"{whose}_target_systolic"], p[f"{whose}_target_diastolic"]])


def over(mean: Floats, limit: Floats) -> Flags:
    """Whether a mean (n, 2) is at or over the target in systolic or diastolic; a missing one is not."""
    found: Flags = (mean[:, SYSTOLIC] >= limit[SYSTOLIC]) | (mean[:, DIASTOLIC] >= limit[DIASTOLIC])
    return found


def under(mean: Floats, limit: Floats) -> Flags:
    """Whether a mean (n, 2) is there and under the target in both."""
    found: Flags = (mean[:, SYSTOLIC] < limit[SYSTOLIC]) & (mean[:, DIASTOLIC] < limit[DIASTOLIC])
    return found
