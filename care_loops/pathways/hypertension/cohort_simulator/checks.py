"""The twelve acceptance checks: what the simulator gives beside what was published (EFFECTS 8).

Rules
 * What was published, its source and the band are rows of `data/cohort_checks.json`; this module only measures.
 * A check holds when the mean over replicates lies in its band. The interval shown is the mean's, over replicates.
 * Every measure is a function of how many people, the parameters and chance, so that a seeded defect is only other
   parameters, and the checks it breaks are known by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..table_files import Row, decimal_of, read_table
from . import adverse_checks, trials
from .body import body_of
from .cuff import home_readings, home_week, office_visit
from .drugs import SYSTOLIC, Floats
from .parameters import Parameters
from .people import BadCohort, Chance, Population, draw_people

Measure = Callable[[int, Parameters, Chance], Mapping[str, float]]
CLASSES = ("lisinopril", "valsartan", "amlodipine", "bisoprolol")
THIAZIDES = ("hydrochlorothiazide", "chlorthalidone", "indapamide")
PAIRS = (("lisinopril", "amlodipine"), ("valsartan", "hydrochlorothiazide"), ("bisoprolol", "amlodipine"))


@dataclass(frozen=True, slots=True)
class Check:
    """One quantity: simulated mean with its 95 % interval over replicates, and what was published."""

    number: int
    quantity: str
    words: str
    simulated: float
    low: float
    high: float
    unit: str
    published: str
    source: str
    mark: str
    least: float
    most: float

    @property
    def holds(self) -> bool:
        """Whether the simulated mean lies in the band."""
        return self.least <= self.simulated <= self.most


def _of_classes(falls: Mapping[str, Floats]) -> Floats:
    """The mean of five classes, the thiazides being one."""
    thiazide = np.mean([falls[name] for name in THIAZIDES], axis=0)
    mean: Floats = np.mean([*(falls[name] for name in CLASSES), thiazide], axis=0)
    return mean


def _efficacy(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Checks 1 to 4, at the trials' pressure before treatment."""
    home = p["reference_office_systolic"] - p["white_coat_mean"]
    people = draw_people(n, trials.untreated(p, home, sd=10.0), p, chance)
    names = (*CLASSES, *THIAZIDES)
    half, one, two = (
        _of_classes({name: trials.efficacy(people, p, {name: dose}, chance) for name in names}) for dose in (0.5, 1, 2)
    )
    both = np.mean([trials.efficacy(people, p, dict.fromkeys(pair, 1.0), chance) for pair in PAIRS])
    doubling, adding = two.mean() - one.mean(), both - one.mean()
    return {
        "one_drug": float(one.mean()),
        "half_over_reference": float(half.mean() / max(one.mean(), 0.01)),
        "one_doubling": float(doubling),
        "two_drugs": float(both),
        "doubling_over_adding": float(doubling / max(adding, 0.01)),
        "slope_on_baseline": float(np.polyfit(people.home[:, SYSTOLIC], one, 1)[0] * 10),
    }


def _time_course(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Check 5: the fall after one, two, four and eight weeks, mean of the classes."""
    home = p["reference_office_systolic"] - p["white_coat_mean"]
    people = draw_people(n, trials.untreated(p, home), p, chance)
    by_week = np.zeros(4)
    for name in (*CLASSES, "hydrochlorothiazide"):
        body = body_of(people, p, chance, perfect=True)
        trials.begin(body, {name: 1.0})
        for at, days in enumerate((7, 7, 14, 28)):
            body.advance(days, chance)
            by_week[at] += body.fall()[:, SYSTOLIC].mean() / (len(CLASSES) + 1)
    fourth = max(by_week[2], 0.01)
    return {
        "share_week_1": float(by_week[0] / fourth),
        "share_week_2": float(by_week[1] / fourth),
        "after_week_4": float(by_week[3] - by_week[2]),
    }


def _within_person(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Check 6: treated people on drugs that stay the same, every dose taken."""
    people = draw_people(n, Population(p["noise_reference"], 9.0, 100.0, 76.0), p, chance)
    body = body_of(people, p, chance, perfect=True)
    home, office, daily = [], [], home_readings(body, 28, chance)[:, :, 0, 0, SYSTOLIC]
    for days in (0, 35, 330):
        body.advance(days, chance)
        home.append(home_week(body, chance, complete=True).mean[:, SYSTOLIC])
        office.append(office_visit(body, chance)[:, SYSTOLIC])
    weeks = np.array(home[:2])
    return {
        "home_year_sd": float(np.std(home[2] - home[0])),
        "office_year_sd": float(np.std(office[2] - office[0])),
        "home_week_cv": float(np.sqrt(np.mean(weeks.var(axis=0, ddof=1) / weeks.mean(axis=0) ** 2))),
        "home_daily_sd": float(daily.std(axis=1, ddof=1).mean()),
    }


def _own_answers(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Check 7: as published, and at the other setting of people's own answers."""
    bell = p.changed({"axis_sd": p["bell_axis_sd"], "residual_sd": p["bell_residual_sd"]})
    return {
        "best_of_four": trials.personal_choice(n, p, chance),
        "bell_true_share": trials.true_share(2 * n, bell, chance),
    }


def _fourth_drug(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Check 8."""
    change = trials.resistant_crossover(n, p, chance)
    return {f"{name}_fourth": float(np.nanmean(change[name])) for name in change}


def _titration(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Checks 9 and 10: the same people under usual care, under two protocols, and titrating themselves."""
    people, entry = trials.trial_people(n, p, chance)
    usual = trials.usual_care(people, p, chance)
    arms = {name: trials.titrated(people, p, chance, trials.plan_of(name)) for name in ("tasminh4", "home_bp")}
    arms["self_titration"] = trials.titrated(people, p, chance, trials.SELF_TITRATION)
    found = {name: float((arm - usual)[:, SYSTOLIC].mean()) for name, arm in arms.items()}
    return found | {"usual_care_fall": float((entry - usual)[:, SYSTOLIC].mean())}


def _programme(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Check 11."""
    seen = trials.remote_programme(n, p, chance)
    reached = seen.weeks[~np.isnan(seen.weeks)]
    return {
        "programme_fall": float(np.nanmean(seen.fall[:, SYSTOLIC])),
        "programme_weeks": float(np.median(reached)) if len(reached) else float("inf"),
        "programme_controlled": float(seen.controlled.mean()),
    }


MEASURES: Mapping[str, Measure] = {
    "efficacy": _efficacy,
    "time_course": _time_course,
    "within_person": _within_person,
    "own_answers": _own_answers,
    "fourth_drug": _fourth_drug,
    "titration": _titration,
    "programme": _programme,
    "safety": adverse_checks.safety,
}


@cache
def rows() -> Mapping[str, Row]:
    """What was published, by quantity."""
    return {str(row["quantity"]): row for row in read_table("cohort_checks").rows}


def acceptance(
    p: Parameters, *, people: int, seeds: Sequence[int], measures: Iterable[str] = tuple(MEASURES)
) -> tuple[Check, ...]:
    """Every quantity of these measures over one replicate per seed of `people` people an arm. Raises `BadCohort`."""
    if people < 1 or not seeds:
        raise BadCohort("at least one person and one seed are needed")
    found: dict[str, list[float]] = {}
    for at, name in enumerate(MEASURES):
        for seed in seeds if name in set(measures) else ():
            for quantity, value in MEASURES[name](people, p, np.random.default_rng([seed, at])).items():
                found.setdefault(quantity, []).append(value)
    return tuple(_check(row, found[name]) for name, row in rows().items() if name in found)


def _check(row: Row, values: list[float]) -> Check:
    mean = float(np.mean(values))
    half = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    number = row["check"]
    assert isinstance(number, int)  # noqa: S101 - a row of our own file
    return Check(
        number=number,
        quantity=str(row["quantity"]),
        words=str(row["words"]),
        simulated=mean,
        low=mean - half,
        high=mean + half,
        unit=str(row["unit"]),
        published=str(row["published"]),
        source=str(row["citation"]),
        mark=str(row["mark"]),
        least=float(decimal_of(row, "least")),
        most=float(decimal_of(row, "most")),
    )


def as_table(checks: Iterable[Check]) -> str:
    """Simulated beside published, a line for each quantity."""
    lines = [f"{'#':>2}  {'quantity':<24}{'simulated':>10}  {'95 % interval':<18}{'band':<18}{'published':<24}holds"]
    for one in checks:
        interval, band = f"{one.low:.3g} to {one.high:.3g}", f"{one.least:g} to {one.most:g}"
        lines.append(
            f"{one.number:>2}  {one.quantity:<24}{one.simulated:>10.3g}  {interval:<18}{band:<18}{one.published:<24}"
            f"{'yes' if one.holds else 'NO'}"
        )
    return "\n".join(lines)
