"""Break-glass: for how long, for which reasons, and how it ends: pure rules over `data/break_glass.json`.

Rules (N10; SECURITY 1.4; HL7 EHR-S FM TI.1.3.1)
 * A record opened so is read, and nothing else: no act of `READS` decides, signs, writes or exports.
 * It ends by its time, by its owner, or with the session in which it was opened; whichever comes first.
 * Its review is closed by another person, within a time, after it has ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files

from governance.domain import Permission

READS = frozenset({Permission.READ_RECORD})
MARKS = frozenset({"checked", "from memory", "proposal"})


class EndedHow(StrEnum):
    """How an opening ended."""

    BY_OWNER = "by_owner"
    TIME = "time"
    SESSION = "session"


class ReviewOutcome(StrEnum):
    """What a review came to."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class GlassRules:
    """The numbers, and the coded reasons with their words."""

    lasts: timedelta
    review_within: timedelta
    reasons: tuple[tuple[str, str], ...]


@cache
def glass_rules() -> GlassRules:
    """The rules as shipped. A row without source or mark is refused."""
    found = json.loads((files(__package__) / "data" / "break_glass.json").read_bytes())
    for row in [*found["numbers"], *found["reasons"]]:
        if not row["source"] or row["mark"] not in MARKS:
            raise ValueError(f"{row}: a row needs a source and a mark")
    value = {row["name"]: int(row["value"]) for row in found["numbers"]}
    return GlassRules(
        lasts=timedelta(minutes=value["open_minutes"]),
        review_within=timedelta(days=value["review_days"]),
        reasons=tuple((row["code"], row["words"]) for row in found["reasons"]),
    )


def over(*, until: datetime, ended_at: datetime | None, now: datetime) -> bool:
    """Whether an opening has ended by `now`."""
    return ended_at is not None or now >= until


def review_due(until: datetime, rules: GlassRules) -> datetime:
    """By when its review is closed."""
    return until + rules.review_within
