"""How long each class of data is kept, from the cited table beside this module (DAT-09).

The rules (45 CFR 164.316(b)(2), 21 CFR 11.10(c), Regulation (EU) 2024/1689 Art. 18, 19, 26)
 * Every class says what it is, for how long it is kept, the minimum below which nothing may go, how it goes, and from
   which source each number is, with its mark.
 * `purge`: taken away by `apply_retention` beside a tombstone entry. `own_job`: by a job of its own. `segments`: moved
   into an archive, never destroyed. `kept`: nothing here removes it.
 * Nothing is kept for less than its minimum: such a table is refused as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any


class Way(StrEnum):
    """How data of a class goes when it has expired."""

    PURGE = "purge"
    OWN_JOB = "own_job"
    SEGMENTS = "segments"
    KEPT = "kept"


class Mark(StrEnum):
    """How sure a source is."""

    CHECKED = "checked"
    FROM_MEMORY = "from memory"
    PROPOSAL = "proposal"


class PolicyInvalid(ValueError):
    """The table cannot be used: a bug of whoever edited it."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a number rests on."""

    says: str
    source: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class DataClass:
    """One class of data."""

    name: str
    what: str
    way: Way
    keep: timedelta
    minimum: timedelta
    bases: tuple[Basis, ...]

    def cutoff(self, now: datetime) -> datetime:
        """What came before this has expired."""
        return now - self.keep


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """The whole table under its version."""

    version: str
    classes: tuple[DataClass, ...]

    def named(self, name: str) -> DataClass:
        """The class of that name; KeyError."""
        return {each.name: each for each in self.classes}[name]


def read(said: Mapping[str, Any]) -> RetentionPolicy:
    """The policy a table says. Raises PolicyInvalid."""
    try:
        classes = tuple(_class(each) for each in said["classes"])
        policy = RetentionPolicy(str(said["version"]), classes)
    except (KeyError, TypeError, ValueError) as err:
        raise PolicyInvalid(f"the retention table: {err}") from err
    if len({each.name for each in classes}) != len(classes):
        raise PolicyInvalid("the retention table names a class twice")
    for each in classes:
        if each.keep < each.minimum or not each.bases:
            raise PolicyInvalid(f"{each.name} is kept for less than its minimum, or without a source")
    return policy


def _class(said: Mapping[str, Any]) -> DataClass:
    return DataClass(
        name=str(said["name"]),
        what=str(said["what"]),
        way=Way(said["way"]),
        keep=timedelta(days=int(said["keep_days"])),
        minimum=timedelta(days=int(said["minimum_days"])),
        bases=tuple(Basis(each["says"], each["source"], Mark(each["mark"])) for each in said["bases"]),
    )


@lru_cache(maxsize=1)
def policy() -> RetentionPolicy:
    """The policy in force."""
    return read(json.loads((Path(__file__).parent / "retention.json").read_text(encoding="utf-8")))
