"""Where a number comes from: its citation, how far it was checked, and the digest of the file that carries it.

Rules
 * Every row of every clinical table has a citation and a mark (CLINICAL, "How to read the marks").
 * A table has a version; its digest is SHA-256 over the bytes of the file, so that a replay knows what was in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How far a row was checked."""

    CHECKED = "checked"
    FROM_MEMORY = "from memory"
    PROPOSAL = "proposal"


@dataclass(frozen=True, slots=True)
class Source:
    """The source of one row."""

    citation: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class TableRef:
    """Which table, which version, which bytes (lower-case hexadecimal SHA-256)."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Cited:
    """One cited number or word of a table, as written there: `row` names it, `unit` is UCUM or empty."""

    row: str
    value: str
    unit: str
    source: Source
