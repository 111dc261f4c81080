"""The cohort itself: people, window by window, what was done, and what came of it.

    simulate(Plan(people=2000, windows=6, seed=7), family("published").parameters(published())) -> Cohort

Rules (DESIGN 6)
 * Window 0 is entry; windows are 28 days apart, each a week of measuring. Right after a window one step is taken, drawn
   with a known chance (`propensity`) among those open, so that the effect of a step can be told from who got it.
 * Label: the mean of the next window (28 days after the step, within the 21 to 35 of DESIGN 6), with no other change
   between. Where that window has no valid mean the row is censored: NaN, and counted. Nothing is filled in.
 * Columns named `truth_…` are what only a simulator knows. They are never features; they score a policy.
 * `step` is a `Step`; `step_drug` the RxNorm ingredient it touches, 0 where nothing is touched.
 * Shapes: one row per person and window, n x windows rows in that order; mmHg, mg, mmol/L, shares of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from .body import Body, body_of
from .care import Open, Step, open_steps, stepped
from .cuff import Week, home_week
from .drugs import DIASTOLIC, NONE, SYSTOLIC, Flags, Floats, Ints, pharmacy, steady_fall
from .harms import MONTH, Harms, harms_of, potassium
from .parameters import Parameters
from .people import BadCohort, Chance, draw_people, usual_population

MOST_PEOPLE, MOST_WINDOWS = 1_000_000, 104
WISHES = np.array([0.4, 0.25, 0.2, 0.15])  # of Step, where all are open: the logging policy of the simulation
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to draw. Raises `BadCohort` for numbers that make no cohort."""

    people: int
    windows: int
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.people <= MOST_PEOPLE:
            raise BadCohort(f"people: {self.people} is not between 1 and {MOST_PEOPLE}")
        if not 2 <= self.windows <= MOST_WINDOWS:
            raise BadCohort(f"windows: {self.windows} is not between 2 and {MOST_WINDOWS}")
        if self.seed < 0:
            raise BadCohort(f"seed: {self.seed} is below nothing")


@dataclass(frozen=True, slots=True)
class Cohort:
    """Columns of equal length by name, in a fixed order; `units` has the unit of each."""

    columns: Mapping[str, npt.NDArray[np.generic]]
    units: Mapping[str, str]

    @property
    def rows(self) -> int:
        """How many person-windows."""
        return len(self.columns["person"])

    def censored(self) -> int:
        """Rows without a label: the next window has no valid mean."""
        return int(np.isnan(self.columns["next_systolic"]).sum())


UNITS: Mapping[str, str] = MappingProxyType(
    {
        "person": "", "window": "", "day": "d", "age": "a", "female": "1", "bmi": "kg/m2", "diabetes": "1",
        "egfr": "mL/min/{1.73_m2}", "frail": "1", "pulse": "/min", "systolic": "mm[Hg]", "diastolic": "mm[Hg]",
        "systolic_sd": "mm[Hg]", "systolic_least": "mm[Hg]", "morning_minus_evening": "mm[Hg]",
        "days_measured": "d", "readings": "{readings}", "reported_taken": "1", "potassium": "mmol/L",
        "lows_felt": "{events}", "step": "", "step_drug": "", "propensity": "1",
        "next_systolic": "mm[Hg]", "next_diastolic": "mm[Hg]", "next_systolic_least": "mm[Hg]",
        "next_lows_felt": "{events}",
        "truth_systolic": "mm[Hg]", "truth_diastolic": "mm[Hg]", "truth_next_systolic": "mm[Hg]", "truth_taken": "1",
        "truth_step_fall": "mm[Hg]",
    }
)  # fmt: skip


class Role(StrEnum):
    """What a column may be used for."""

    KEY = "key"
    OBSERVED = "observed"  # known when the step is taken
    STEP = "step"
    OUTCOME = "outcome"
    TRUTH = "truth"  # known to the simulator alone: scores a policy, is never shown to a model


def role_of(column: str) -> Role:
    """The role of a column of a cohort."""
    if column.startswith("truth_"):
        return Role.TRUTH
    if column.startswith("next_"):
        return Role.OUTCOME
    if column in ("step", "step_drug", "propensity"):
        return Role.STEP
    return Role.KEY if column in ("person", "window", "day") else Role.OBSERVED


def dose_columns() -> tuple[str, ...]:
    """One column for each drug of the pharmacy: its dose as a multiple of the reference dose."""
    return tuple(f"dose_{ingredient}" for ingredient in pharmacy().ingredients)


def simulate(plan: Plan, p: Parameters, *, progress: Progress | None = None) -> Cohort:
    """Draw a cohort. The same plan and parameters give the same bits."""
    chance = np.random.default_rng(plan.seed)
    people = draw_people(plan.people, usual_population(p), p, chance)
    body = body_of(people, p, chance)
    harms, gone = harms_of(body, chance), np.zeros(plan.people, dtype=bool)
    body.advance(MONTH, chance)  # a run-in, so that doses were taken or missed before entry too
    lows, taken, kept = np.zeros(plan.people), body.taken_share(MONTH), []
    for window in range(plan.windows):
        week = home_week(body, chance, gone=gone)
        seen = _seen(body, week, (window, lows, taken), chance)
        seen |= _act(body, chance)
        kept.append(seen)
        lows, taken = _month(body, harms, chance)
        gone = gone | _leaves(week, p, chance)
        if progress is not None:
            progress(window + 1, plan.windows)
    return _joined(kept)


def _seen(
    body: Body, week: Week, before: tuple[int, Floats, Floats], chance: Chance
) -> dict[str, npt.NDArray[np.generic]]:
    """What a window shows, before anything is done."""
    people, (window, lows, taken) = body.people, before
    n, level = len(people), body.home_level()
    systolic = week.readings[..., SYSTOLIC].reshape(n, -1)
    halves = _mean(week.readings[..., SYSTOLIC].transpose(0, 2, 1, 3).reshape(n, 2, -1))
    doses = _doses(body)
    return {
        "person": np.arange(n), "window": np.full(n, window), "day": np.full(n, window * MONTH),
        "age": people.age, "female": people.female, "bmi": people.bmi, "diabetes": people.diabetes,
        "egfr": people.egfr, "frail": people.frail, "pulse": people.pulse,
        "systolic": week.mean[:, SYSTOLIC], "diastolic": week.mean[:, DIASTOLIC],
        "systolic_sd": _spread(systolic), "systolic_least": _least(systolic),
        "morning_minus_evening": halves[:, 0] - halves[:, 1],
        "days_measured": week.days, "readings": week.count,
        "reported_taken": _reported(taken, body.p, chance), "potassium": potassium(body, chance), "lows_felt": lows,
        "truth_systolic": level[:, SYSTOLIC], "truth_diastolic": level[:, DIASTOLIC], "truth_taken": taken,
        **{name: doses[:, at] for at, name in enumerate(dose_columns())},
    }  # fmt: skip


def _doses(body: Body) -> Floats:
    """(n, drugs) prescribed multiples."""
    doses = np.zeros((len(body.people), len(pharmacy().ingredients)))
    rows = np.arange(len(doses))
    for slot in range(body.drug.shape[1]):
        drug = body.drug[:, slot]
        has = drug != NONE
        doses[rows[has], drug[has]] += body.multiple[has, slot]
    return doses


def _reported(taken: Floats, p: Parameters, chance: Chance) -> Floats:
    """Doses taken as people report them: too kindly, and some report every one."""
    kinder = taken + (1 - taken) * chance.beta(p["report_alpha"], p["report_beta"], len(taken))
    return np.where(chance.random(len(taken)) < p["report_all_share"], 1.0, kinder)


def _act(body: Body, chance: Chance) -> dict[str, npt.NDArray[np.generic]]:
    """One step each, among those open, with its chance; and what it would do in the long run."""
    may = open_steps(body)
    step, propensity = _wished(may, chance)
    slot = np.select([step == Step.UP, step == Step.START, step == Step.DOWN], [may.up, may.start, may.down], NONE)
    rows, codes = np.arange(len(step)), np.array([int(code) for code in pharmacy().ingredients])
    touched = np.where(step == Step.START, may.begun, body.drug[rows, np.maximum(slot, 0)])
    before = _long_run(body, body.drug, body.multiple)
    drug, multiple = stepped(body, step, may)
    fall = _long_run(body, drug, multiple) - before
    body.prescribe(drug, multiple)
    return {
        "step": step,
        "step_drug": np.where(slot == NONE, 0, codes[touched]),
        "propensity": propensity,
        "truth_step_fall": fall,
    }


def _wished(may: Open, chance: Chance) -> tuple[Ints, Floats]:
    is_open = np.stack([np.ones(len(may.up), dtype=bool), may.up != NONE, may.start != NONE, may.down != NONE], axis=1)
    shares = np.where(is_open, WISHES, 0.0)
    shares /= shares.sum(axis=1, keepdims=True)
    step = (chance.random(len(shares))[:, None] >= np.cumsum(shares, axis=1)).sum(axis=1).clip(0, len(WISHES) - 1)
    return step, shares[np.arange(len(step)), step]


def _long_run(body: Body, drug: Ints, multiple: Floats) -> Floats:
    """(n,) home systolic fall of a prescription in the long run, every dose taken."""
    base = body.untreated_home + np.array([body.p["white_coat_mean"], body.p["white_coat_diastolic_mean"]])
    fall = steady_fall(base, body.people.answering, (drug, multiple), body.p)[..., SYSTOLIC].sum(axis=1)
    home: Floats = fall * body.p["scale_home"]
    return home


def _month(body: Body, harms: Harms, chance: Chance) -> tuple[Floats, Floats]:
    body.advance(MONTH, chance)
    return harms.month(body, chance).astype(float), body.taken_share(MONTH)


def _leaves(week: Week, p: Parameters, chance: Chance) -> Flags:
    """(n,) who measures no more after this month; by the last mean too, where the family says so."""
    high = np.nan_to_num(week.mean[:, SYSTOLIC] - p["home_systolic_mean"]) / 10
    logit = np.log(p["leaves_month"] / (1 - p["leaves_month"])) + p["leaves_by_value"] * high
    found: Flags = chance.random(len(high)) < 1 / (1 + np.exp(-logit))
    return found


def _joined(kept: list[dict[str, npt.NDArray[np.generic]]]) -> Cohort:
    """All windows, with the next one's outcome beside each; the last has none and is left out."""
    follow = {"next_systolic": "systolic", "next_diastolic": "diastolic", "next_systolic_least": "systolic_least",
              "next_lows_felt": "lows_felt", "truth_next_systolic": "truth_systolic"}  # fmt: skip
    for now, then in pairwise(kept):
        now.update({name: then[source] for name, source in follow.items()})
    names = [*(name for name in UNITS), *dose_columns()]
    columns = {name: np.stack([window[name] for window in kept[:-1]], axis=1).ravel() for name in names}
    units = {**UNITS, **dict.fromkeys(dose_columns(), "{reference_dose}")}
    return Cohort(MappingProxyType(columns), MappingProxyType(units))


def _mean(values: Floats) -> Floats:
    """Mean over the last axis of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=-1)
    total = np.where(there, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _spread(values: Floats) -> Floats:
    """SD over the last axis of what is there; NaN under two."""
    there = ~np.isnan(values)
    count = there.sum(axis=-1)
    square = np.where(there, values - np.nan_to_num(_mean(values))[:, None], 0.0) ** 2
    return np.where(count > 1, np.sqrt(square.sum(axis=-1) / np.maximum(count - 1, 1)), np.nan)


def _least(values: Floats) -> Floats:
    least = np.where(np.isnan(values), np.inf, values).min(axis=-1)
    return np.where(np.isinf(least), np.nan, least)
