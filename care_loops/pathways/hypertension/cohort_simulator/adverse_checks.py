"""The twelfth check: doses missed, what a full week of doses is worth, and harms (EFFECTS 8, row 12)."""

from __future__ import annotations

import numpy as np

from . import trials
from .body import TAKEN, Body, body_of
from .drugs import SYSTOLIC, Flags
from .harms import creatinine_ratio, harms_of, low_sodium_hazard, potassium
from .parameters import Parameters
from .people import Chance, People, Population, draw_people

DAYS = 330


def safety(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """All of row 12."""
    return _doses(n, p, chance) | {
        "full_week_gain": _full_week(n, p, chance),
        "oedema": _oedema(n, p, chance),
        "sodium_under_130": _sodium(n, p, chance),
        **_ras_blocker(2 * n, p, chance),
    }


def _untreated(n: int, p: Parameters, chance: Chance) -> People:
    whom = Population(
        p["untreated_home_systolic"],
        p["untreated_home_systolic_sd"],
        p["untreated_home_systolic_least"],
        p["untreated_home_diastolic"],
        drugs=0,
    )
    return draw_people(n, whom, p, chance)


def _on(people: People, drugs: dict[str, float], p: Parameters, chance: Chance) -> Body:
    body = body_of(people, p, chance)
    trials.begin(body, drugs)
    return body


def _doses(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """People of the electronic pill boxes: without the fifth who take much less."""
    p = p.changed({"poor_taker_share": 0})
    body = _on(_untreated(n, p, chance), {"lisinopril": 1.0}, p, chance)
    missed = np.zeros((n, DAYS), dtype=bool)
    for day in range(DAYS):
        body.advance(1, chance)
        missed[:, day] = body.state != TAKEN
    return {"missed_days": float(missed.mean()), "in_long_runs": _in_runs(missed, 3)}


def _in_runs(missed: Flags, least: int) -> float:
    """Share of the missed days that lie in runs of at least `least` days."""
    padded = np.pad(missed, ((0, 0), (1, 1))).astype(np.int8)
    edges = np.diff(padded, axis=1)
    lengths = np.nonzero(edges.ravel() == -1)[0] - np.nonzero(edges.ravel() == 1)[0]
    return float(lengths[lengths >= least].sum() / max(lengths.sum(), 1))


def _full_week(n: int, p: Parameters, chance: Chance) -> float:
    """Office systolic after a week with under 60 % of doses less that after a full one, two or three drugs taken."""
    gaps = []
    for drugs in (
        {"lisinopril": 1.0, "amlodipine": 1.0},
        {"valsartan": 1.0, "amlodipine": 1.0, "hydrochlorothiazide": 1.0},
    ):
        body = _on(_untreated(n, p, chance), drugs, p, chance)
        body.advance(56, chance)
        body.kept[:] = True
        body.taken_share(56)
        body.advance(7, chance)
        level, share = body.office_level()[:, SYSTOLIC], body.taken_share(7)
        little, full = share < p["little_taken_under"], share == 1
        seen = little.any() and full.any()
        gaps.append(level[little].mean() - level[full].mean() if seen else np.nan)
    return float(np.mean(gaps))


def _oedema(n: int, p: Parameters, chance: Chance) -> float:
    """Share with swollen ankles after half a year on 10 mg of amlodipine."""
    body = _on(_untreated(n, p, chance), {"amlodipine": 2.0}, p, chance)
    harms = harms_of(body, chance)
    for _ in range(6):
        body.kept[:] = True
        harms.month(body, chance)
    return float(harms.oedema.mean())


def _ras_blocker(n: int, p: Parameters, chance: Chance) -> dict[str, float]:
    """Creatinine some weeks after the start, and the draws of potassium of the first year."""
    body = _on(_untreated(n, p, chance), {"lisinopril": 1.0}, p, chance)
    draws = [potassium(body, chance) > p["potassium_counted_over"] for _ in range(int(p["potassium_draws_year"]))]
    return {
        "creatinine_30": float((creatinine_ratio(body, chance) >= p["creatinine_rise_counted"]).mean()),
        "potassium_over_5_5": float(np.any(draws, axis=0).mean()),
    }


def _sodium(n: int, p: Parameters, chance: Chance) -> float:
    body = _on(_untreated(n, p, chance), {"hydrochlorothiazide": 1.0}, p, chance)
    early = int(p["low_sodium_early_days"])
    summed = low_sodium_hazard(body, 0) * early + low_sodium_hazard(body, early) * (2 * 365 - early)
    return float((chance.random(n) < 1 - np.exp(-summed)).mean())
