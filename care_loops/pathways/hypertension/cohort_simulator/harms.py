"""What drugs do besides: swollen ankles, cough, creatinine, potassium, sodium, and pressures felt as too low.

Rules (EFFECTS 4 and 7)
 * Each person has a disposition that stays: the same ankle swells again at the same dose.
 * Laboratory values follow the lab model; a draw adds its own error, and now and then a haemolysed sample.
 * Hazards are per month (28 days) or per draw, and are handed the dose that is taken, never the one prescribed only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....domain.record import DrugClass
from .body import Body
from .drugs import RAS_BLOCKERS, SYSTOLIC, THIAZIDES, Flags, Floats, pharmacy
from .parameters import Parameters
from .people import Chance

MONTH = 28
WEEK = 7


def dose_of(body: Body, classes: tuple[DrugClass, ...]) -> Floats:
    """(n,) summed multiples of the reference dose that each person still takes of these classes."""
    of_class = pharmacy().is_any(classes)[np.maximum(body.drug, 0)] & body.kept & (body.drug >= 0)
    summed: Floats = np.where(of_class, body.multiple, 0.0).sum(axis=1)
    return summed


def oedema_chance(body: Body) -> Floats:
    """(n,) chance that the ankles swell in the long run, at the calcium channel blocker's dose that is taken."""
    p, dose = body.p, dose_of(body, (DrugClass.DHP_CCB,))
    logits = [np.log(x / (1 - x)) for x in (p["oedema_half"], p["oedema_reference"], p["oedema_double"])]
    at = np.interp(np.log2(np.maximum(dose, 0.25)), [-1.0, 0.0, 1.0], logits)
    by_sex = np.where(body.people.female, 0.5, -0.5) * p["oedema_female_logit"]
    chance = 1 / (1 + np.exp(-(at + by_sex)))
    with_ras = np.where(dose_of(body, RAS_BLOCKERS) > 0, p["oedema_with_ras"], 1.0)
    found: Floats = np.where(dose > 0, chance * with_ras, 0.0)
    return found


def cough_chance(body: Body) -> Floats:
    """(n,) chance of a cough in the long run; it does not depend on the dose."""
    return np.where(dose_of(body, (DrugClass.ACE_INHIBITOR,)) > 0, body.p["cough_share"], 0.0)


def creatinine_ratio(body: Body, chance: Chance) -> Floats:
    """(n,) creatinine some weeks after the start of a blocker of the renin system, over the value before."""
    p, n = body.p, len(body.people)
    log_mean = np.log(p["creatinine_mean_ratio"]) - p["creatinine_log_sd"] ** 2 / 2
    more = np.where(body.people.egfr < 60, p["creatinine_ckd_log"], 0.0)
    on = dose_of(body, RAS_BLOCKERS) > 0
    ratio: Floats = np.where(on, chance.lognormal(log_mean + more, p["creatinine_log_sd"], n), 1.0)
    return ratio


def potassium(body: Body, chance: Chance) -> Floats:
    """(n,) potassium of one draw, mmol/L."""
    p, people = body.p, body.people
    ckd = people.egfr < 60
    ras, mra = dose_of(body, RAS_BLOCKERS), dose_of(body, (DrugClass.MRA,))
    thiazide = dose_of(body, THIAZIDES)
    shift = _rising(ras, p["potassium_ras"], p["potassium_ras_double"]) * np.where(ckd, p["potassium_ckd_factor"], 1)
    shift = shift + _rising(mra, p["potassium_mra"], p["potassium_mra_double"])
    held = np.where(ras > 0, p["potassium_thiazide_with_ras"], 1.0)
    shift = shift - _rising(thiazide, p["potassium_thiazide"], p["potassium_thiazide_double"]) * held
    level = p["potassium_mean"] + p["potassium_ckd"] * np.maximum(0, (60 - people.egfr) / 10) + people.potassium + shift
    n = len(people)
    drawn = level + chance.normal(0, p["potassium_draw_sd"], n)
    haemolysed: Floats = drawn + np.where(chance.random(n) < p["haemolysis_share"], p["haemolysis_shift"], 0.0)
    return haemolysed


def _rising(dose: Floats, at_reference: float, at_double: float) -> Floats:
    """A shift by dose: straight to the reference, straight to its double, flat above."""
    return np.interp(dose, [0.0, 1.0, 2.0], [0.0, at_reference, at_double])


def low_sodium_hazard(body: Body, day: int) -> Floats:
    """(n,) hazard per day of a sodium under 130 mmol/L on `day` (from 0) of a thiazide; higher early and when old."""
    p = body.p
    early = p["low_sodium_early_factor"] if day < p["low_sodium_early_days"] else 1.0
    weight = 2 * 365 + (p["low_sodium_early_factor"] - 1) * p["low_sodium_early_days"]
    base = -np.log(1 - p["low_sodium_two_years"]) / weight
    old = body.people.age > p["low_sodium_old_age"]
    by_age = np.where(old, p["low_sodium_old_odds"], 1.0)
    hazard = base * early * by_age / (1 + p["low_sodium_old_share"] * (p["low_sodium_old_odds"] - 1))
    return np.where(dose_of(body, THIAZIDES) > 0, hazard, 0.0)


def low_chance(systolic: Floats, frail: Flags, p: Parameters) -> Floats:
    """(n,) chance of a low pressure that is felt, in a month at this true home systolic pressure (mmHg)."""
    factor = np.where(systolic < p["low_under_systolic"], p["low_factor"], 1.0)
    factor = np.where(systolic < p["low_far_under_systolic"], p["low_far_factor"], factor)
    factor = factor * np.where(frail, p["low_frail_factor"], 1.0)
    return np.minimum(p["low_month"] * factor, 1.0)


@dataclass(slots=True)
class Harms:
    """What has happened to n people so far, and the dispositions that decide it."""

    ankles: Floats  # (n,) uniform: they swell where the chance exceeds it
    throat: Floats  # (n,) the same of the cough
    oedema: Flags
    cough: Flags
    lows: Floats  # (n,) counted

    def month(self, body: Body, chance: Chance) -> Flags:
        """Live through a month: new harms, and drugs given up because of them. Returns (n,) who felt a low pressure."""
        p, n = body.p, len(body.people)
        onset = 1 - np.exp(-MONTH / (p["oedema_weeks"] * WEEK))
        swells = (self.ankles < oedema_chance(body)) & ~self.oedema & (chance.random(n) < onset)
        onset = 1 - np.exp(-MONTH / (p["cough_weeks"] * WEEK))
        coughs = (self.throat < cough_chance(body)) & ~self.cough & (chance.random(n) < onset)
        self.oedema, self.cough = self.oedema | swells, self.cough | coughs
        give_up(body, swells & (chance.random(n) < p["stop_after_oedema"]), (DrugClass.DHP_CCB,))
        give_up(body, coughs & (chance.random(n) < p["stop_after_cough"]), (DrugClass.ACE_INHIBITOR,))
        low = chance.random(n) < low_chance(body.home_level()[:, SYSTOLIC], body.people.frail, p)
        self.lows = self.lows + low
        return low


def harms_of(body: Body, chance: Chance) -> Harms:
    """Nothing has happened yet."""
    n = len(body.people)
    none = np.zeros(n, dtype=bool)
    return Harms(chance.random(n), chance.random(n), none, none.copy(), np.zeros(n))


def give_up(body: Body, who: Flags, classes: tuple[DrugClass, ...]) -> None:
    """These people take drugs of these classes no more, whatever stands in the prescription."""
    of_class = pharmacy().is_any(classes)[np.maximum(body.drug, 0)] & (body.drug >= 0)
    body.kept &= ~(who[:, None] & of_class)
