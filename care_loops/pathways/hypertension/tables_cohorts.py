"""The cohorts of the pathway, read from their file: by age, each person in exactly one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

MARKS = frozenset({"checked", "from memory", "proposal"})


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort by age in whole years, from and below."""

    name: str
    from_years: int
    below_years: int


@cache
def cohorts() -> tuple[Cohort, ...]:
    """Every cohort, youngest first. Raises ValueError where two meet, one is missing, or a row has no source."""
    said = json.loads((files(__package__) / "data" / "cohorts.json").read_bytes())
    for row in said["rows"]:
        if not row["source"] or row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    found = tuple(Cohort(row["name"], int(row["from_years"]), int(row["below_years"])) for row in said["rows"])
    if any(younger.below_years != older.from_years for younger, older in pairwise(found)):
        raise ValueError("cohorts follow each other without a gap")
    return found


def cohorts_of(age_years: int | None) -> tuple[str, ...]:
    """The cohort of a person; none where the age is not known or outside all of them."""
    if age_years is None:
        return ()
    return tuple(one.name for one in cohorts() if one.from_years <= age_years < one.below_years)
