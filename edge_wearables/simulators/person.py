"""A synthetic person who measures at home: twice in the morning, twice in the evening, sometimes not.

Rules
 * The same seed gives the same readings. Every shape comes from `data/cuff.json`, which says how far each row is known.
 * Times are local to the person's zone; nothing here reads a clock: the days are handed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

SESSIONS = ((time(7, 30), True), (time(20, 30), False))


@lru_cache(maxsize=1)
def shapes() -> dict[str, float]:
    """The rows of the data file by name."""
    path = Path(__file__).with_name("data") / "cuff.json"
    return {row["name"]: float(row["value"]) for row in json.loads(path.read_text("utf-8"))["rows"]}


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as the device records it: when it was taken, and its content in our format."""

    taken_at: datetime
    content: dict[str, Any]


def readings(*, seed: int, zone: str, first_day: date, days: int) -> Iterator[Reading]:
    """The readings of one person over `days` local days from `first_day`, in order of time."""
    chance, shape = Random(seed), shapes()  # noqa: S311 - a simulation is to be repeatable, not secret
    systolic = chance.gauss(shape["systolic_mean"], shape["systolic_between_people"])
    diastolic = chance.gauss(shape["diastolic_mean"], shape["diastolic_between_people"])
    for day in range(days):
        for clock, morning in SESSIONS:
            minutes = chance.uniform(-40, 40)
            if chance.random() < shape["missed_sessions"]:
                continue
            start = datetime.combine(first_day + timedelta(days=day), clock, ZoneInfo(zone))
            for nth in range(2):
                at = start + timedelta(minutes=minutes + 1.5 * nth)
                shift = (shape["morning_over_evening"] if morning else 0) - shape["second_under_first"] * nth
                upper = round(chance.gauss(systolic + shift, shape["systolic_within_person"]))
                lower = round(chance.gauss(diastolic + shift / 2, shape["diastolic_within_person"]))
                yield _reading(at.replace(microsecond=0), zone, upper, min(lower, upper - 15), chance, shape)


def _reading(
    at: datetime, zone: str, systolic: int, diastolic: int, chance: Random, shape: dict[str, float]
) -> Reading:
    content = {
        "kind": "blood_pressure",
        "taken_at": at.isoformat(),
        "zone": zone,
        "unit": "mmHg",
        "systolic": systolic,
        "diastolic": diastolic,
        "pulse": round(chance.gauss(shape["pulse_mean"], shape["pulse_within_person"])),
        "position": "seated",
    }
    return Reading(at, content)
