"""Families of cohorts that differ in kind: what changes in each, as data, and by how much a sealed one may differ.

Rules (DESIGN 6)
 * A family is rows of `data/cohort_families.json` over the published parameters; the simulator has no branch by family.
 * Held out means: the strengths and the seed of the sealed draw are not known to who trains (`sealing`). That the
   family exists, and its kind, is no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from ..table_files import BadTable, Rows, decimal_of, read_table
from .parameters import Parameters, check_found, published
from .people import BadCohort, Chance


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter of a family: its value, and the range a sealed draw takes it from."""

    parameter: str
    value: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Family:
    """A family: its name, what it is in words, and what it changes."""

    name: str
    words: str
    held_out: bool
    changes: tuple[Change, ...]

    def parameters(self, base: Parameters) -> Parameters:
        """The published parameters with this family's changes."""
        return base.changed({change.parameter: change.value for change in self.changes})

    def drawn(self, chance: Chance) -> Mapping[str, float]:
        """Strengths for a sealed draw, each between its least and its most."""
        return MappingProxyType({c.parameter: float(chance.uniform(c.least, c.most)) for c in self.changes})


def build_families(rows: Rows, base: Parameters) -> Mapping[str, Family]:
    """Families from rows. Raises `BadTable` for a change of no family, and `UnknownParameter` for one of nothing."""
    for row in rows:
        check_found(row)
    changes: dict[str, list[Change]] = {str(row["family"]): [] for row in rows if row["about"] == "family"}
    for row in rows:
        if row["about"] != "change":
            continue
        value, least, most = (float(decimal_of(row, key)) for key in ("value", "least", "most"))
        if str(row["family"]) not in changes or not least <= value <= most:
            raise BadTable(f"{row['family']}: a change of no family, or a value outside its range")
        base.changed({str(row["parameter"]): value})
        changes[str(row["family"])].append(Change(str(row["parameter"]), value, least, most))
    return MappingProxyType(
        {
            str(row["family"]): Family(
                str(row["family"]), str(row["words"]), row["held_out"] is True, tuple(changes[str(row["family"])])
            )
            for row in rows
            if row["about"] == "family"
        }
    )


@cache
def families() -> Mapping[str, Family]:
    """Every family by name."""
    return build_families(read_table("cohort_families").rows, published())


def family(name: str) -> Family:
    """One family. Raises `BadCohort`, which names those there are."""
    try:
        return families()[name]
    except KeyError:
        raise BadCohort(f"{name}: no family of this name; there are {', '.join(families())}") from None
