"""Replicas of published trials, run on simulated people: what each would have reported.

Rules (EFFECTS 6 and 8)
 * A replica measures what its trial measured (office, home, monitor), at its times, from its entry, so that regression
   to the mean, doses missed and people's own answers are in the result as they were in the trial.
 * Arms share the people drawn, and nothing else: each has chance of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..tables_therapy import protocols
from .body import Body, body_of
from .care import intensify, over, target, under
from .cuff import home_week, monitored_day, office_visit
from .drugs import NONE, SYSTOLIC, Flags, Floats, pharmacy
from .harms import MONTH, harms_of
from .parameters import Parameters
from .people import SLOTS, Chance, People, Population, chosen, draw_people, usual_population

MONTHS = 13  # of 28 days: a year


def untreated(p: Parameters, systolic: float, sd: float = 0.01) -> Population:
    """People on no drug whose true home pressure is this; office pressure lies the white coat above."""
    return Population(systolic, sd, 60.0, p["reference_office_diastolic"] - p["white_coat_diastolic_mean"], drugs=0)


def prescribed(people: People, drugs: dict[str, float]) -> People:
    """The same people with these drugs (by name, in reference doses) in their first slots."""
    drug, multiple = np.full((len(people), SLOTS), NONE), np.zeros((len(people), SLOTS))
    for slot, (name, dose) in enumerate(drugs.items()):
        drug[:, slot], multiple[:, slot] = pharmacy().named(name), dose
    return replace(people, drug=drug, multiple=multiple)


def begin(body: Body, drugs: dict[str, float]) -> None:
    """Prescribe these drugs, and no others, to everybody."""
    wanted = prescribed(body.people, drugs)
    body.prescribe(wanted.drug, wanted.multiple)


def efficacy(people: People, p: Parameters, drugs: dict[str, float], chance: Chance) -> Floats:
    """(n,) fall of true office systolic pressure after 8 weeks, every dose taken, less what time alone does."""
    body = body_of(people, p, chance, perfect=True)
    begin(body, drugs)
    body.advance(56, chance)
    return body.fall()[:, SYSTOLIC]


def trial_people(n: int, p: Parameters, chance: Chance) -> tuple[People, Floats]:
    """`n` treated people whose office pressure at entry is at or over the trials', and that pressure (n, 2)."""
    whom = Population(p["trial_home_mean"], p["trial_home_sd"], p["trial_home_least"], p["trial_home_diastolic"])
    pool = draw_people(6 * n, whom, p, chance)
    seen = office_visit(body_of(pool, p, chance), chance)
    keep = np.flatnonzero(seen[:, SYSTOLIC] >= p["trial_office_entry"])[:n]
    return chosen(pool, keep), seen[keep]


def usual_care(people: People, p: Parameters, chance: Chance) -> Floats:
    """(n, 2) office pressure after a year of visits every few months, at some of which somebody acts."""
    body = body_of(people, p, chance)
    harms = harms_of(body, chance)
    due = chance.integers(0, int(p["usual_visit_days"] / MONTH) + 1, len(people))
    for month in range(MONTHS):
        visits = (month - due) % round(p["usual_visit_days"] / MONTH) == 0
        high = over(office_visit(body, chance, routine=True), target(p, "office"))
        body.resume(visits, chance)
        intensify(body, visits & high & (chance.random(len(people)) < p["usual_intensify"]), chance)
        body.advance(MONTH, chance)
        harms.month(body, chance)
    return office_visit(body, chance)


def titrated(people: People, p: Parameters, chance: Chance, plan: Plan) -> Floats:
    """(n, 2) office pressure after a year in which a home window is measured every month and acted upon."""
    body = body_of(people, p, chance)
    harms = harms_of(body, chance)
    high_so_far = np.zeros(len(people))
    for _ in range(MONTHS):
        high = over(home_week(body, chance).mean, target(p, plan.target))
        high_so_far = np.where(high, high_so_far + 1, 0)
        acts = (high_so_far >= plan.windows) & (chance.random(len(people)) < p[plan.intensify])
        body.resume(high, chance)
        intensify(body, acts, chance)
        high_so_far = np.where(acts, 0, high_so_far)
        body.advance(MONTH, chance)
        harms.month(body, chance)
    return office_visit(body, chance)


@dataclass(frozen=True, slots=True)
class Plan:
    """How home windows are acted upon: windows over target in a row, whose target, and how surely."""

    windows: int
    target: str
    intensify: str


def plan_of(protocol: str) -> Plan:
    """The plan of a published protocol, its windows read from the table of protocols."""
    surely = {"home_bp": "planned_intensify", "tasminh4": "titration_intensify"}[protocol]
    return Plan(dict(protocols().windows_over_target)[protocol], "home", surely)


SELF_TITRATION = Plan(2, "self", "self_titration_intensify")


def resistant_crossover(n: int, p: Parameters, chance: Chance) -> dict[str, Floats]:
    """PATHWAY-2: home systolic change (n,), mean of weeks 6 and 12, for each fourth drug less placebo."""
    whom = Population(
        p["resistant_home_systolic"],
        p["home_systolic_sd"],
        p["resistant_home_systolic_least"],
        p["resistant_home_diastolic"],
        drugs=3,
    )
    people = draw_people(n, whom, p.changed({"poor_taker_share": 0}), chance)  # the trial left them out
    seen: dict[str, Floats] = {}
    for fourth in ("placebo", "spironolactone", "bisoprolol"):
        body = body_of(people, p, chance)
        levels = []
        for dose in (1.0, 2.0):
            drug, multiple = people.drug.copy(), people.multiple.copy()
            if fourth != "placebo":
                drug[:, 3], multiple[:, 3] = pharmacy().named(fourth), dose
            body.prescribe(drug, multiple)
            body.kept[:] = True  # a trial of twelve weeks: nobody gives up for good
            body.advance(42, chance)
            levels.append(home_week(body, chance, complete=True).mean[:, SYSTOLIC])
        seen[fourth] = np.mean(levels, axis=0)
    return {name: seen[name] - seen["placebo"] for name in ("spironolactone", "bisoprolol")}


@dataclass(frozen=True, slots=True)
class Programme:
    """What a remote programme reports."""

    fall: Floats  # (n, 2) home fall of who measured at the end
    weeks: Floats  # (n,) weeks to the first window under target; NaN for who did not reach it
    controlled: Flags  # (n,) a window under target was reached, of who measured
    measured: Flags  # (n,) measured at the end


def remote_programme(n: int, p: Parameters, chance: Chance) -> Programme:
    """A remote programme over some months: a window every few weeks, and a step unless it is under target."""
    people = draw_people(n, usual_population(p), p, chance)
    body = body_of(people, p, chance)
    harms = harms_of(body, chance)
    first = home_week(body, chance).mean
    keep = over(first, target(p, "home"))  # who is enrolled has a mean over the diagnostic limit
    weeks, gone = np.full(n, np.nan), np.zeros(n, dtype=bool)
    last = first.copy()
    days = int(p["programme_days"])
    for window in range(1, int(p["programme_length"]) // days + 1):
        high = over(last, target(p, "programme"))
        body.resume(high, chance)
        intensify(body, high & (chance.random(n) < p["programme_intensify"]), chance)
        body.advance(days, chance)
        harms.month(body, chance)
        gone |= chance.random(n) < p["leaves_month"] * days / MONTH
        seen = home_week(body, chance, gone=gone).mean
        reached = under(seen, target(p, "home")) & np.isnan(weeks)
        weeks[reached] = window * days / 7
        last = np.where(np.isnan(seen), last, seen)
    measured = keep & ~gone
    return Programme(
        fall=(first - last)[measured],
        weeks=weeks[measured],
        controlled=~np.isnan(weeks[measured]),
        measured=measured[keep],
    )


def also_seen(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """What EFFECTS 8 asks to be run without a verdict: masked pressure, nights that do not dip, the season."""
    whom = Population(p["trial_home_mean"], p["trial_home_sd"], p["trial_home_least"], p["trial_home_diastolic"])
    body = body_of(draw_people(n, whom, p, chance), p, chance)
    office = office_visit(body, chance)[:, SYSTOLIC]
    day, night = body.day_level()[:, SYSTOLIC], body.night_level()[:, SYSTOLIC]
    calm = office < p["trial_office_entry"]
    return {
        "masked_of_controlled": float(((2 * day + night)[calm] / 3 >= p["whole_day_limit"]).mean()),
        "nights_without_dip": float((night / day > p["night_without_dip_over"]).mean()),
        "winter_less_summer": float(2 * p["season_amplitude"] * body.people.season.mean()),
    }


CROSSOVER_DRUGS = {"lisinopril": 2.0, "candesartan": 2.0, "hydrochlorothiazide": 1.0, "amlodipine": 2.0}


def personal_choice(n: int, p: Parameters, chance: Chance) -> float:
    """PHYSIC: mmHg (daytime) gained by each person's best of four drugs over the average drug, as its model estimates.

    Six periods of 56 days, four drugs, two of them twice. The covariance of people's answers comes from products of
    residuals of different periods of the same person, which hold no error of measurement; the gain is that of the best
    of four draws from it.
    """
    whom = Population(p["reference_office_systolic"] - p["white_coat_mean"], 8.0, 120.0, 86.0, drugs=0)
    people = draw_people(n, whom, p, chance)
    names = list(CROSSOVER_DRUGS)
    order = chance.permuted(np.tile(np.arange(4), (n, 1)), axis=1)
    order = chance.permuted(np.concatenate([order, order[:, :2]], axis=1), axis=1)
    body = body_of(people, p, chance)
    seen = np.zeros((n, 6))
    index = np.array([pharmacy().named(name) for name in names])
    dose = np.array(list(CROSSOVER_DRUGS.values()))
    for period in range(6):
        drug, multiple = np.full((n, SLOTS), NONE), np.zeros((n, SLOTS))
        drug[:, 0], multiple[:, 0] = index[order[:, period]], dose[order[:, period]]
        body.prescribe(drug, multiple)
        body.kept[:] = True
        body.advance(56, chance)
        seen[:, period] = monitored_day(body, chance)
    return best_of_four(*answers_covary(seen, order), chance)


def answers_covary(seen: Floats, order: Floats) -> tuple[Floats, Floats]:
    """Mean fall (4,) and covariance (4, 4) of people's pressures on four drugs, free of the error of a period."""
    means = np.array([seen[order == drug].mean() for drug in range(4)])
    rest = seen - means[order.astype(int)]
    total, count = np.zeros((4, 4)), np.zeros((4, 4))
    for one in range(6):
        for other in range(6):
            if one == other:
                continue
            a, b = order[:, one].astype(int), order[:, other].astype(int)
            np.add.at(total, (a, b), rest[:, one] * rest[:, other])
            np.add.at(count, (a, b), 1)
    return -means, total / np.maximum(count, 1)


def best_of_four(fall: Floats, covariance: Floats, chance: Chance) -> float:
    """Expected fall on the best of the drugs over the mean of all, mmHg."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0))
    people = fall + chance.normal(0, 1, (20_000, len(fall))) @ root.T
    return float(people.max(axis=1).mean() - people.mean())


def true_share(n: int, p: Parameters, chance: Chance) -> float:
    """Bell: share of the variance of an office fall on one drug that is people's own answer, by a parallel trial.

    Both arms have the same chance, day by day, so that their difference is the drug's and not that of the draw.
    """
    people = draw_people(n, Population(148.5, 9.0, 110.0, 90.0, drugs=0), p, chance)
    seed, variances = int(chance.integers(2**63)), []
    for drugs in ({"lisinopril": 1.0}, {}):
        same = np.random.default_rng(seed)
        body = body_of(people, p, same, perfect=True)
        before = office_visit(body, same)[:, SYSTOLIC]
        begin(body, drugs)
        body.advance(84, same)
        variances.append(np.var(office_visit(body, same)[:, SYSTOLIC] - before))
    return float((variances[0] - variances[1]) / variances[0])
