"""A clinical number as data: what it is, in which unit, who says so, and whether that was checked.

Rules
 * Every row carries its citation and its mark; a row without them cannot be built (CLINICAL, how to read the marks).
 * A table carries a version, so that an old decision can name what it was made under.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How far a row may be trusted."""

    CHECKED = "checked"  # a public source was read for it
    FROM_MEMORY = "from memory"  # check it before clinical reliance
    PROPOSAL = "proposal"  # an engineering choice of ours


@dataclass(frozen=True, slots=True)
class Cited:
    """One row of a table. `value` is as written in the data file, for people to read; `unit` is UCUM or empty."""

    row: str
    value: str
    unit: str
    citation: str
    mark: Mark

    def __post_init__(self) -> None:
        if not self.citation.strip():
            raise ValueError(f"row {self.row} has no citation")
