"""What could be read of something that was refused as a whole: its parts, each with its unit.

Rules
 * A part is read from what stands there alone: a number and its unit, a time, a word. What cannot be read is left out;
   nothing is put in its place (N2). Parts never become an exact result: they are looked at for danger and held back.
 * A number may be written as text, and as a bound (`>6.5`). A bound counts as the nearest number beyond it.
 * What was sent twice has both values. Where no time could be read or believed `taken_at` is `None`: it counts as
   received now (CLINICAL 1.3, an uncertain clock counts as recent).
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from .readings import Flag, Method, Position
from .record import LabKind
from .units import Bpm, MmHg

PLACES = Decimal("0.0001")
TOO_LARGE = Decimal(100_000)
MAX_DIGITS = 40
MAX_EXPONENT = 30
MMHG, KPA = ("mmhg", "mm[hg]", "mm/hg"), ("kpa",)
RATE_UNITS = ("/min", "1/min", "{beats}/min", "beats/min", "beats/minute", "bpm")
_WRITTEN = re.compile(r"\s*([<>]=?|[≤≥])?\s*(-?\d{1,5}(?:[.,]\d{1,4})?)\s*(\S.{0,30})?", re.ASCII)


class Bound(StrEnum):
    """Whether a number is the value, or the value lies over or under it."""

    EXACT = "exact"
    OVER = "over"
    UNDER = "under"


_SIGNS = {">": Bound.OVER, ">=": Bound.OVER, "≥": Bound.OVER, "<": Bound.UNDER, "<=": Bound.UNDER, "≤": Bound.UNDER}


@dataclass(frozen=True, slots=True)
class NumberSaid:
    """A number as it was written. `value`: of a bound, the nearest number beyond it. `unit`: what stood behind it."""

    value: Decimal
    bound: Bound = Bound.EXACT
    unit: str = ""

    def times(self, factor: Decimal) -> NumberSaid:
        """In another unit."""
        return NumberSaid((self.value * factor).quantize(PLACES, rounding=ROUND_HALF_UP), self.bound, self.unit)


def number_said(value: object, *, comparator: object = None) -> NumberSaid | None:
    """The number in a JSON number, or in text such as `>6.5`. `comparator`: as FHIR has it, where it stands apart."""
    sign, unit = comparator if isinstance(comparator, str) else "", ""
    if isinstance(value, str):
        found = _WRITTEN.fullmatch(value)
        if found is None:
            return None
        sign, unit = sign or found[1] or "", (found[3] or "").strip()
        number = Decimal(found[2].replace(",", "."))
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
    else:
        return None
    if not number.is_finite() or abs(number) >= TOO_LARGE:
        return None
    number = number.quantize(PLACES, rounding=ROUND_HALF_UP)
    bound = _SIGNS.get(sign, Bound.EXACT)
    if sign in ("<", ">"):
        number += PLACES if bound is Bound.OVER else -PLACES
    return NumberSaid(number, bound, unit)


def _last_of_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(pairs)


def _first_of_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(pairs))


def _decimal_said(said: str) -> Decimal | str:
    """A number with a point or an exponent, of a size that could be one; else its text."""
    number = Decimal(said) if len(said) <= MAX_DIGITS else None
    return said if number is None or abs(number.adjusted()) > MAX_EXPONENT else number


def json_said(body: bytes) -> tuple[object, ...]:
    """What a body says that is no strict JSON: none, one value, or two where a key stands twice (each of them once).

    Never raises. NaN and infinity are text; bytes that are no UTF-8 and what stands behind the value are passed over.
    """
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    found: list[object] = []
    for pairs_read in (_last_of_each, _first_of_each):
        decoder = json.JSONDecoder(
            object_pairs_hook=pairs_read,
            parse_float=_decimal_said,
            parse_int=lambda said: int(said) if len(said) <= MAX_DIGITS else said,
            parse_constant=str,
            strict=False,
        )
        with contextlib.suppress(ValueError, RecursionError):
            found.append(decoder.raw_decode(text)[0])
    return tuple(found[:1] if len(found) == 2 and found[0] == found[1] else found)


def pressure_said(value: object, *, unit: object, comparator: object = None) -> tuple[MmHg, ...]:
    """A pressure in mmHg or kPa as a part: one value, or none that can be read."""
    said = number_said(value, comparator=comparator)
    written = _spelled(unit)
    if said is None or written not in MMHG + KPA or said.unit not in ("", unit):
        return ()
    mmhg = MmHg(said.value) if written in MMHG else MmHg.from_kpa(said.value)
    return (MmHg(mmhg.value.quantize(PLACES, rounding=ROUND_HALF_UP)),) if mmhg.value < TOO_LARGE else ()


def rate_said(value: object, *, unit: object, comparator: object = None) -> tuple[Bpm, ...]:
    """A heart rate a minute as a part: one value, or none that can be read."""
    said = number_said(value, comparator=comparator)
    if said is None or _spelled(unit) not in RATE_UNITS or said.unit not in ("", unit):
        return ()
    return (Bpm(said.value),)


def _spelled(unit: object) -> str:
    """A unit in the one spelling it is compared in: people write mmhg and mm Hg, too."""
    return "".join(unit.split()).lower() if isinstance(unit, str) else ""


@dataclass(frozen=True, slots=True)
class PartsRead:
    """What could be read of one reading. `besides`: it is no blood pressure but what a device measures besides."""

    systolic: tuple[MmHg, ...] = ()
    diastolic: tuple[MmHg, ...] = ()
    pulse: tuple[Bpm, ...] = ()
    taken_at: datetime | None = None
    method: Method | None = None
    position: Position = Position.UNKNOWN
    flags: tuple[Flag, ...] = ()
    besides: bool = False

    @property
    def measured(self) -> bool:
        """Whether any value could be read."""
        return bool(self.systolic or self.diastolic or self.pulse)


NOTHING_READ = PartsRead()


@dataclass(frozen=True, slots=True)
class LabRead:
    """What could be read of a laboratory result that is no exact number, or was refused for something else."""

    kind: LabKind
    value: Decimal
    bound: Bound
    taken_at: datetime | None


__all__ = [
    "NOTHING_READ",
    "Bound",
    "LabRead",
    "NumberSaid",
    "PartsRead",
    "json_said",
    "number_said",
    "pressure_said",
    "rate_said",
]
