"""Is this a measurement at all? What is not is quarantined by name: kept and shown, never averaged (CLINICAL 1.1).

The rules
 * Limits and device sentinels are data. The first reason in the order of `Implausible` is the name.
 * A sentinel is what a device writes instead of a number: IEEE 11073 SFLOAT NaN and kin (2047, ...), 0/0, 255/255.
   A sentinel in the systolic place voids the pair; in the diastolic place only itself; in the pulse only the pulse.
 * Danger rules run before and beside this (`danger`): a quarantined value may still be a person in danger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from operator import eq, ge, le

from .domain.provenance import Cited
from .domain.readings import Implausible, Reading
from .domain.units import Quantity


class Place(StrEnum):
    """Where in a reading a sentinel stands."""

    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    PULSE = "pulse"
    PAIR = "pair"


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A value a device writes for "no value". A `PAIR` gives systolic and diastolic; both must be equal to it."""

    place: Place
    compare: str  # "==", ">=" or "<="
    values: tuple[Decimal, ...]
    row: Cited


@dataclass(frozen=True, slots=True)
class PlausibilityLimits:
    """What counts as a measurement. Limits are inclusive, mmHg and beats per minute."""

    name: str
    version: str
    systolic_min: Decimal
    systolic_max: Decimal
    diastolic_min: Decimal
    diastolic_max: Decimal
    pulse_pressure_min: Decimal
    pulse_min: Decimal
    pulse_max: Decimal
    sentinels: tuple[Sentinel, ...]
    rows: tuple[Cited, ...] = ()


_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {"==": eq, ">=": ge, "<=": le}


def check(reading: Reading, limits: PlausibilityLimits, *, now: datetime | None) -> Implausible | None:
    """Why the reading is held back, or `None`. `now` is when it was received; `None` where no clock can judge it."""
    systolic, diastolic, pulse = _value(reading.systolic), _value(reading.diastolic), _value(reading.pulse)
    both = systolic is not None and diastolic is not None
    gap = systolic - diastolic if systolic is not None and diastolic is not None else Decimal(0)
    checks: tuple[tuple[bool, Implausible], ...] = (
        (bool(sentinel_places(reading, limits.sentinels)), Implausible.SENTINEL),
        (both and gap <= 0, Implausible.SYSTOLIC_NOT_ABOVE_DIASTOLIC),
        (both and gap < limits.pulse_pressure_min, Implausible.PULSE_PRESSURE_TOO_SMALL),
        (_outside(systolic, limits.systolic_min, limits.systolic_max), Implausible.SYSTOLIC_OUT_OF_RANGE),
        (_outside(diastolic, limits.diastolic_min, limits.diastolic_max), Implausible.DIASTOLIC_OUT_OF_RANGE),
        (_outside(pulse, limits.pulse_min, limits.pulse_max), Implausible.PULSE_OUT_OF_RANGE),
        (now is not None and reading.taken_at > now, Implausible.FUTURE),
    )
    return next((why for applies, why in checks if applies), None)


def sentinel_places(reading: Reading, sentinels: tuple[Sentinel, ...]) -> frozenset[Place]:
    """Which components are no numbers at all. A known pair takes both; one sentinel does not silence the other."""
    found: set[Place] = set()
    for sentinel in sentinels:
        if _stands(reading, sentinel):
            found |= {Place.SYSTOLIC, Place.DIASTOLIC} if sentinel.place is Place.PAIR else {sentinel.place}
    return frozenset(found)


def _stands(reading: Reading, sentinel: Sentinel) -> bool:
    compare = _COMPARE[sentinel.compare]
    match sentinel.place:
        case Place.PAIR:
            return (_value(reading.systolic), _value(reading.diastolic)) == sentinel.values
        case Place.SYSTOLIC:
            value = _value(reading.systolic)
        case Place.DIASTOLIC:
            value = _value(reading.diastolic)
        case Place.PULSE:
            value = _value(reading.pulse)
    return value is not None and any(compare(value, one) for one in sentinel.values)


def _value(quantity: Quantity | None) -> Decimal | None:
    return None if quantity is None else quantity.value


def _outside(value: Decimal | None, low: Decimal, high: Decimal) -> bool:
    return value is not None and not low <= value <= high
