"""Units of measure: a number that could harm never travels without its unit.

Rules
 * The value inside is a finite `Decimal`; NaN and infinity cannot be constructed.
 * Conversion is a named constructor or method. Nothing converts by itself.
 * Display rounds half up (CLINICAL 1.1); the unrounded value is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Self

MMHG_PER_KPA = Decimal("7.50062")  # NIST SP 811, appendix B.8: 1 mmHg = 133.3224 Pa


class NotANumber(ValueError):
    """A quantity that is not a finite number: NaN, infinity, a word."""


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A finite decimal with a unit in its type."""

    value: Decimal

    def __post_init__(self) -> None:
        if not isinstance(self.value, Decimal) or not self.value.is_finite():
            raise NotANumber(f"{type(self).__name__} needs a finite Decimal, not {self.value!r}")

    @classmethod
    def of(cls, value: Decimal | int | str | float) -> Self:
        """Build from a number or its text; a float passes through its shortest text."""
        if isinstance(value, bool):
            raise NotANumber(f"{cls.__name__} needs a number, not {value!r}")
        try:
            return cls(Decimal(str(value)))
        except InvalidOperation as err:
            raise NotANumber(f"{cls.__name__} needs a number, not {value!r}") from err

    def rounded(self, places: int = 0) -> Decimal:
        """The value for display, rounded half up."""
        return self.value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True, order=True)
class MmHg(Quantity):
    """Pressure in millimetres of mercury (UCUM mm[Hg])."""

    @classmethod
    def from_kpa(cls, kpa: Decimal) -> MmHg:
        """Convert kilopascal to mmHg."""
        return cls(kpa * MMHG_PER_KPA)


@dataclass(frozen=True, slots=True, order=True)
class Bpm(Quantity):
    """Heart rate in beats per minute (UCUM /min)."""


@dataclass(frozen=True, slots=True, order=True)
class Milligrams(Quantity):
    """Amount of drug in milligrams; a dose is milligrams per day unless its name says otherwise."""
