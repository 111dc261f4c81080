"""Synthetic people: who they are, how their pressure and their cuff vary, how they answer to drugs, how they take them.

Rules (EFFECTS 2, 3 and 5)
 * The population is "treated and uncontrolled" unless asked otherwise; every trait is drawn independently but where a
   source ties them (diastolic to systolic and age, filtration to age).
 * White-coat effect, device bias, day pattern, noise and adherence are a person's own and stay with them.
 * Group membership (ancestry) is not drawn and steers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .drugs import NONE, Answering, Flags, Floats, Ints, pharmacy
from .parameters import Parameters

SLOTS = 6
Chance = np.random.Generator


class BadCohort(ValueError):
    """A cohort that cannot be drawn: too few people, a family that is not there, a window that makes no sense."""


@dataclass(frozen=True, slots=True)
class Population:
    """Whom to draw. Pressures are home, mmHg; `drugs` the number taken, or `None` for the treated population's mix."""

    systolic_mean: float
    systolic_sd: float
    systolic_least: float
    diastolic_mean: float
    drugs: int | None = None
    office_from: float | None = None  # only who has an office pressure of at least this at entry
    settled: bool = True  # on their drugs for over a year


def usual_population(p: Parameters) -> Population:
    """Treated, uncontrolled, measured at home."""
    return Population(
        p["home_systolic_mean"], p["home_systolic_sd"], p["home_systolic_least"], p["home_diastolic_mean"]
    )


@dataclass(frozen=True, slots=True)
class People:
    """n people as arrays of length n (others say so). Pressures mmHg, systolic then diastolic in the last axis."""

    age: Floats  # years
    female: Flags
    bmi: Floats  # kg/m2
    diabetes: Flags
    egfr: Floats  # mL/min/1.73 m2
    frail: Flags
    pulse: Floats  # /min at rest
    home: Floats  # (n, 2) true home pressure at entry, on the drugs of entry
    white_coat: Floats  # (n, 2) office minus home at entry
    morning_evening: Floats  # (n, 2)
    noise: Floats  # (n,) factor of all within-person noise, mean square 1
    device_bias: Floats  # (n, 2)
    season: Floats  # (n,) factor of the seasonal amplitude
    night_ratio: Floats  # (n,) night over day pressure
    answering: Answering
    forgetful: Floats  # (n, 2) factors of the daily chance to forget, and to begin a holiday
    missing: Floats  # (n,) logit of a session not measured
    potassium: Floats  # (n,) mmol/L, own deviation
    drug: Ints  # (n, SLOTS) at entry
    multiple: Floats  # (n, SLOTS) reference doses at entry

    def __len__(self) -> int:
        return len(self.age)


def draw_people(n: int, population: Population, p: Parameters, chance: Chance) -> People:
    """Draw `n` people. Raises `BadCohort` unless n is at least 1."""
    if n < 1:
        raise BadCohort(f"{n} people: at least one is needed")
    age = np.clip(chance.normal(p["age_mean"], p["age_sd"], n), p["age_least"], p["age_most"])
    egfr = p["egfr_intercept"] + p["egfr_age"] * age + chance.normal(0, p["egfr_sd"], n)
    bmi_log = np.log1p((p["bmi_sd"] / p["bmi_mean"]) ** 2)
    log_sd = p["noise_person_log_sd"]
    drug, multiple = _regimens(n, population, p, chance)
    return People(
        age=age,
        female=chance.random(n) < p["female_share"],
        bmi=chance.lognormal(np.log(p["bmi_mean"]) - bmi_log / 2, np.sqrt(bmi_log), n),
        diabetes=chance.random(n) < p["diabetes_share"],
        egfr=np.clip(egfr, p["egfr_least"], p["egfr_most"]),
        frail=chance.random(n) < p["frail_share"],
        pulse=chance.normal(p["pulse_mean"], p["pulse_sd"], n),
        home=_home(age, population, p, chance),
        white_coat=_white_coat(n, p, chance),
        morning_evening=_scaled(chance.normal(p["morning_evening_mean"], p["morning_evening_sd"], n), p),
        noise=chance.lognormal(-(log_sd**2), log_sd, n),
        device_bias=_scaled(chance.normal(p["device_bias_mean"], p["device_bias_sd"], n), p),
        season=chance.normal(1, p["season_person_sd"], n),
        night_ratio=chance.normal(p["night_ratio_mean"], p["night_ratio_sd"], n),
        answering=_answering(n, p, chance),
        forgetful=_forgetful(n, p, chance),
        missing=np.log(p["session_missed_share"] / (1 - p["session_missed_share"]))
        + chance.normal(0, p["session_missed_person_sd"], n),
        potassium=chance.normal(0, p["potassium_person_sd"], n),
        drug=drug,
        multiple=multiple,
    )


def _scaled(systolic: Floats, p: Parameters) -> Floats:
    return np.stack([systolic, systolic * p["diastolic_noise_share"]], axis=-1)


def _home(age: Floats, population: Population, p: Parameters, chance: Chance) -> Floats:
    """True home pressure, systolic cut off below; diastolic tied to systolic and falling with age."""
    n = len(age)
    systolic = _above(population.systolic_mean, population.systolic_sd, population.systolic_least, n, chance)
    tie, sd = p["home_correlation"], p["home_diastolic_sd"]
    by_age = p["home_diastolic_age"]
    rest = max(sd**2 * (1 - tie**2) - (by_age * p["age_sd"]) ** 2, 1.0) ** 0.5
    z = (systolic - population.systolic_mean) / population.systolic_sd
    diastolic = population.diastolic_mean + tie * sd * z + by_age * (age - p["age_mean"]) + chance.normal(0, rest, n)
    return np.stack([systolic, np.minimum(diastolic, systolic - 20)], axis=1)


def _above(mean: float, sd: float, least: float, n: int, chance: Chance) -> Floats:
    """A normal cut off below, by drawing again."""
    drawn = chance.normal(mean, sd, n)
    for _ in range(200):
        under = drawn < least
        if not under.any():
            return drawn
        drawn[under] = chance.normal(mean, sd, int(under.sum()))
    raise BadCohort(f"a pressure of at least {least} mmHg is too rare at {mean} ({sd})")


def _white_coat(n: int, p: Parameters, chance: Chance) -> Floats:
    z = chance.normal(0, 1, n)
    systolic = p["white_coat_mean"] + p["white_coat_sd"] * z
    return np.stack([systolic, p["white_coat_diastolic_mean"] + p["white_coat_diastolic_sd"] * z], axis=1)


def _answering(n: int, p: Parameters, chance: Chance) -> Answering:
    drugs = len(pharmacy().ingredients)
    return Answering(
        axes=chance.normal(0, p["axis_sd"], (n, 2)),
        residual=chance.normal(0, p["residual_sd"], (n, drugs)),
        diastolic=chance.normal(0, p["diastolic_residual_sd"], (n, drugs)),
    )


def _forgetful(n: int, p: Parameters, chance: Chance) -> Floats:
    """Factors of the two rates; gamma, mean 1, and a share of people who take much less."""
    shapes = (p["forget_shape"], p["holiday_shape"])
    factors = np.stack([chance.gamma(shape, 1 / shape, n) for shape in shapes], axis=1)
    poor = chance.random(n) < p["poor_taker_share"]
    return np.where(poor[:, None], factors * p["poor_taker_factor"], factors)


def _regimens(n: int, population: Population, p: Parameters, chance: Chance) -> tuple[Ints, Floats]:
    """Drugs and doses of entry: three first-line classes in a chance order, then the fourth of the site's order."""
    shop = pharmacy()
    if population.drugs is None:
        shares = np.array([p[f"drugs_{word}"] for word in ("one", "two", "three", "four")])
        count = chance.choice(4, size=n, p=shares / shares.sum()) + 1
    else:
        count = np.full(n, population.drugs)
    blockers = np.where(chance.random(n) < 0.5, shop.named("lisinopril"), shop.named("losartan"))
    first = np.stack(
        [blockers, np.full(n, shop.named("amlodipine")), np.full(n, shop.named("hydrochlorothiazide"))], axis=1
    )
    first = chance.permuted(first, axis=1)
    fourth = np.where(chance.random(n) < 0.5, shop.named("spironolactone"), shop.named("bisoprolol"))
    drug = np.full((n, SLOTS), NONE)
    drug[:, :3], drug[:, 3] = first, fourth
    drug = np.where(np.arange(SLOTS) < count[:, None], drug, NONE)
    place = np.minimum(chance.integers(0, 2, drug.shape) + shop.start[drug], shop.rungs[drug] - 1)
    return drug, np.where(drug == NONE, 0.0, shop.ladder[drug, place])


def chosen(people: People, keep: Flags | Ints) -> People:
    """Only some of the people, every array cut alike."""
    fields = {name: getattr(people, name)[keep] for name in People.__slots__ if name != "answering"}
    a = people.answering
    return People(answering=Answering(a.axes[keep], a.residual[keep], a.diastolic[keep]), **fields)
