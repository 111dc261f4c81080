"""The parameters of the cohort simulator, each with its citation, and how a family or a seeded defect changes them.

Rules
 * A parameter is a row of `data/cohort_parameters.json`: value, unit, citation, mark, and how it was found.
 * A name that is no row is refused, when read and when changed: nothing is filled in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from ..table_files import BadTable, Row, Rows, decimal_of, read_table

FOUND = MappingProxyType(
    {"read": "checked", "read-2": "from memory", "mem": "from memory", "derived": "proposal", "proposal": "proposal"}
)


class UnknownParameter(ValueError):
    """A name that is no parameter of the cohort simulator, or a value that is no finite number."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers by name, in the units of their rows."""

    numbers: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        """One number. Raises `UnknownParameter`."""
        try:
            return self.numbers[name]
        except KeyError:
            raise UnknownParameter(f"{name}: no parameter of this name") from None

    def changed(self, changes: Mapping[str, float]) -> Parameters:
        """The same with some numbers changed. Raises `UnknownParameter` for a name or a number that is none."""
        for name, value in changes.items():
            if name not in self.numbers:
                raise UnknownParameter(f"{name}: no parameter of this name")
            if isinstance(value, bool) or not math.isfinite(value):
                raise UnknownParameter(f"{name}: {value!r} is no finite number")
        return Parameters(MappingProxyType({**self.numbers, **{name: float(v) for name, v in changes.items()}}))


def check_found(row: Row) -> None:
    """How a number was found decides its mark. Raises `BadTable`."""
    if FOUND.get(str(row.get("found"))) != row["mark"]:
        raise BadTable(f"{row}: found {row.get('found')!r} does not give the mark {row['mark']!r}")


def build_parameters(rows: Rows) -> Parameters:
    """Parameters from rows. Raises `BadTable` for one without unit, named twice, or marked as it was not found."""
    numbers: dict[str, float] = {}
    for row in rows:
        check_found(row)
        name = str(row["parameter"])
        if name in numbers or not row.get("unit"):
            raise BadTable(f"{name}: named twice, or without a unit")
        numbers[name] = float(decimal_of(row, "value"))
    return Parameters(MappingProxyType(numbers))


@cache
def published() -> Parameters:
    """The parameters as they are kept."""
    return build_parameters(read_table("cohort_parameters").rows)
