"""What the devices of the play see: readings each morning and evening, and what happens besides.

Rules
 * The same seed gives the same readings, week by week: a play that goes on later measures what it would have measured.
 * Routine readings stay out of the danger ranges; only what a case says happens there.
 * Each confirmed step of a drug lowers what follows by the effect of `data/hospital.json`: a shape, not evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from .cases import Case, Happening, document

SESSIONS = ((time(7, 20), True), (time(20, 20), False))
ROUTINE = (104, 174)  # routine systolic values; the diastolic ones below
LOWEST_DIASTOLIC, HIGHEST_DIASTOLIC, NARROWEST = 62, 99, 25


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading as the device keeps it."""

    at: datetime
    content: dict[str, Any]


def first_date(starts_at: datetime, zone: str) -> date:
    """The local date of the first day of the play."""
    return starts_at.astimezone(ZoneInfo(zone)).date()


def moment(starts_at: datetime, zone: str, day: int, at: time) -> datetime:
    """A local time on a day of the play."""
    return datetime.combine(first_date(starts_at, zone) + timedelta(days=day), at, ZoneInfo(zone))


def routine(case: Case, *, starts_at: datetime, week: int, seed: int, steps: int) -> Iterator[Seen]:
    """A week of morning and evening readings; `steps` is how many steps up are confirmed by then."""
    chance, shape = Random(f"{seed}/{case.key}/{week}"), document()["shape"]  # noqa: S311 - to be repeatable
    for day in range(week * 7, week * 7 + 7):
        drift = chance.gauss(0, shape["spread_between_days"])
        for clock, morning in SESSIONS:
            start = moment(starts_at, case.zone, day, clock) + timedelta(seconds=chance.randrange(0, 1800))
            if chance.random() < case.missed:
                continue
            for nth in range(case.readings_a_session):
                shift = shape["morning_over_evening"] * morning - shape["second_under_first"] * (nth > 0)
                upper = case.systolic + drift + shift - steps * shape["effect_of_a_step"]
                upper += chance.gauss(0, shape["spread_second"])
                lower = case.diastolic + drift / 2 + shift / 2 - steps * shape["effect_of_a_step"] / 2
                yield _seen(case, start + timedelta(seconds=95) * nth, upper, lower, chance.gauss(case.pulse, 3))


def _seen(case: Case, at: datetime, upper: float, lower: float, pulse: float) -> Seen:
    systolic = round(min(max(upper, ROUTINE[0]), ROUTINE[1]))
    diastolic = round(min(max(lower, LOWEST_DIASTOLIC), HIGHEST_DIASTOLIC, systolic - NARROWEST))
    values: dict[str, Any] = {"systolic": systolic, "diastolic": diastolic, "pulse": round(pulse)}
    return Seen(at, _content(at, case.zone, values | ({"flags": list(case.flags)} if case.flags else {})))


def happening(case: Case, what: Happening, *, starts_at: datetime) -> Seen:
    """A reading that a case says happens; `raw` replaces fields with what a faulty device sends."""
    at = moment(starts_at, case.zone, what.day, what.at)
    said: Mapping[str, Any] = what.what
    values = {"systolic": case.systolic, "diastolic": case.diastolic, "pulse": case.pulse}
    values |= {name: said[name] for name in ("systolic", "diastolic", "pulse", "position") if name in said}
    return Seen(at, _content(at, case.zone, values | dict(said.get("raw", {}))))


def _content(at: datetime, zone: str, values: Mapping[str, Any]) -> dict[str, Any]:
    plain = {"kind": "blood_pressure", "taken_at": at.isoformat(), "zone": zone, "unit": "mmHg", "position": "seated"}
    return plain | dict(values)
