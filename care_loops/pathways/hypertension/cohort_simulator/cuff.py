"""What is measured: a week at home, a visit to the office, a day with a monitor; and the mean that is made of a week.

Rules (EFFECTS 2 and 7)
 * A home week has sessions in the morning and the evening, two readings each. A reading is whole mmHg: the level, the
   day's own part, half a day's, the hour's, the reading's, the first reading's excess, the device's bias, and now and
   then a fault of procedure. What is not measured is NaN.
 * All within-person noise grows with the pressure and with a factor of the person's own.
 * The mean of a week follows the rule of averaging that care uses: first day left out, enough days and readings,
   morning and evening both; else there is no mean (NaN), never a filled one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables_readings import averaging_rule
from .body import Body
from .drugs import SYSTOLIC, Flags, Floats
from .parameters import Parameters
from .people import Chance

DAYS, HALVES, READINGS = 7, 2, 2


@dataclass(frozen=True, slots=True)
class Week:
    """A home week as measured. `readings`: (n, 7, 2, 2, 2) mmHg: day, half of the day, reading, systolic/diastolic."""

    readings: Floats
    mean: Floats  # (n, 2) by the rule of averaging; NaN where there is none
    days: Floats  # (n,) days that count
    count: Floats  # (n,) readings that count


def _noise_scale(body: Body, level: Floats) -> Floats:
    p = body.p
    pressure = np.maximum(level[:, SYSTOLIC], 60) / p["noise_reference"]
    scale: Floats = body.people.noise * pressure ** p["noise_power"]
    return scale


def _noise(shape: tuple[int, ...], sd: float, p: Parameters, chance: Chance) -> Floats:
    """Noise (…, 2): systolic of this SD, diastolic smaller and tied to it."""
    systolic, other = chance.normal(0, 1, shape), chance.normal(0, 1, shape)
    tie = p["diastolic_noise_correlation"]
    diastolic = (tie * systolic + np.sqrt(1 - tie**2) * other) * p["diastolic_noise_share"]
    return sd * np.stack([systolic, diastolic], axis=-1)


def day_parts(body: Body, days: int, chance: Chance) -> Floats:
    """(n, days, 2) each day's own part, tied from one day to the next."""
    p, n = body.p, len(body.people)
    tie = p["day_correlation"]
    fresh = _noise((n, days), p["day_sd"], p, chance)
    for day in range(1, days):
        fresh[:, day] = tie * fresh[:, day - 1] + np.sqrt(1 - tie**2) * fresh[:, day]
    return fresh


def home_readings(body: Body, days: int, chance: Chance) -> Floats:
    """(n, days, 2, 2, 2) readings as they would all have been measured."""
    p, n, level = body.p, len(body.people), body.home_level()
    scale = _noise_scale(body, level)
    shape = (n, days, HALVES, READINGS)
    half = np.array([0.5, -0.5])[:, None] * body.people.morning_evening[:, None, :]
    noise = day_parts(body, days, chance)[:, :, None, None]
    noise = noise + _noise((n, days, HALVES), p["half_day_sd"], p, chance)[:, :, :, None]
    noise = noise + _noise(shape, p["reading_sd"], p, chance)
    first = np.array([p["first_reading_excess"], 0.0])[:, None] * np.array([1.0, p["diastolic_noise_share"]])
    read: Floats = (
        level[:, None, None, None] + half[:, None, :, None] + noise * scale[:, None, None, None, None] + first
    )
    read = read + body.people.device_bias[:, None, None, None] + _faults((n, days, HALVES), p, chance)[:, :, :, None]
    rounded: Floats = np.rint(read)
    return rounded


def _faults(shape: tuple[int, ...], p: Parameters, chance: Chance) -> Floats:
    size = np.where(
        chance.random(shape) < p["fault_share"], chance.uniform(p["fault_least"], p["fault_most"], shape), 0
    )
    return np.stack([size, size * p["diastolic_noise_share"]], axis=-1)


def measured(readings: Floats, body: Body, chance: Chance) -> Floats:
    """The same readings, NaN where a session was not measured; also by its own value where the family says so."""
    p = body.p
    first = readings[:, :, :, 0, SYSTOLIC]
    high = (first - body.people.home[:, None, None, SYSTOLIC]) / 10
    logit = body.people.missing[:, None, None] + p["missing_by_value"] * high
    gone = chance.random(first.shape) < 1 / (1 + np.exp(-logit))
    return np.where(gone[..., None, None], np.nan, readings)


def home_week(body: Body, chance: Chance, *, complete: bool = False, gone: Flags | None = None) -> Week:
    """Seven days measured at home from today. `gone`: people (n,) who measure no more."""
    readings = home_readings(body, DAYS, chance)
    if not complete:
        readings = measured(readings, body, chance)
    if gone is not None:
        readings = np.where(gone[:, None, None, None, None], np.nan, readings)
    return averaged(readings)


def averaged(readings: Floats) -> Week:
    """The mean of each week by the rule `home_7_day`, and what counts toward it."""
    rule = averaging_rule("home_7_day")
    there = ~np.isnan(readings[..., SYSTOLIC])  # (n, days, halves, readings)
    any_day = there.any(axis=(2, 3))
    if rule.discard_first_day:
        first = any_day & (np.cumsum(any_day, axis=1) == 1)
        there = there & ~first[:, :, None, None]
    days, count = there.any(axis=(2, 3)).sum(axis=1), there.sum(axis=(1, 2, 3))
    enough = (days >= rule.min_days) & (count >= rule.min_readings)
    if rule.morning_and_evening:
        enough &= np.all(there.any(axis=(1, 3)), axis=1)
    total = np.where(there[..., None], readings, 0.0).sum(axis=(1, 2, 3))
    mean = np.where(enough[:, None], total / np.maximum(count, 1)[:, None], np.nan)
    return Week(readings=readings, mean=mean, days=days.astype(float), count=count.astype(float))


def office_visit(body: Body, chance: Chance, *, routine: bool = False) -> Floats:
    """(n, 2) office pressure of one visit, mmHg: mean of two readings after the first. `routine` care is noisier."""
    p, n = body.p, len(body.people)
    level = body.office_level()
    noise = day_parts(body, 1, chance)[:, 0] + _noise((n,), p["half_day_sd"], p, chance)
    noise = noise + _noise((n,), p["visit_sd"], p, chance) + _noise((n,), p["reading_sd"] / np.sqrt(2), p, chance)
    seen = level + noise * _noise_scale(body, level)[:, None]
    if not routine:
        return seen
    seen = seen + _noise((n,), p["routine_visit_sd"], p, chance)
    rounded = np.rint(seen / 10) * 10
    return np.where(chance.random(n)[:, None] < p["office_zero_digit"], rounded, np.rint(seen))


def monitored_day(body: Body, chance: Chance) -> Floats:
    """(n,) mean systolic pressure of one day with an ambulatory monitor, mmHg."""
    noise = chance.normal(0, body.p["day_abpm_sd"], len(body.people))
    level: Floats = body.day_level()[:, SYSTOLIC]
    # The slow part is in the level already; the published single-day SD holds both.
    seen: Floats = level + noise * np.sqrt(max(1 - (body.p["slow_sd"] / body.p["day_abpm_sd"]) ** 2, 0.1))
    return seen
