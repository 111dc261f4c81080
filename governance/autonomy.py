"""How far a model may go, per cohort and action: earned by a signed gate, lost by a rule. Pure (PEERS 4 leap 7).

Rules
 * observe < suggest < approve each < within the boundary. Where no gate was ever signed, a model observes.
 * The level in force is the one earned, brought down by every rule that speaks; no rule and no fact brings it up.
 * It limits what the tier table answers, and never widens it: observe withholds, suggest leaves a clinician to decide
   without a pre-filled choice, approve each leaves nothing to the patient.
 * Overrides are judged on a p-chart: a recent share over the upper limit, or a run of weeks over the centre line.
 * A gate names the facts that must hold; a fact that is not known does not hold. `data/autonomy_rules.json` has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files

from .domain import Refusal
from .tiers import Tier

MARKS = frozenset({"checked", "from memory", "proposal"})


class Level(StrEnum):
    """How far a model may go, from the least."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE_EACH = "approve_each"
    WITHIN_BOUNDARY = "within_boundary"

    @property
    def rank(self) -> int:
        """Its place on the ladder, from 0."""
        return list(Level).index(self)

    def at_most(self, other: Level) -> Level:
        """The lower of the two."""
        return min(self, other, key=lambda level: level.rank)


class ModelKind(StrEnum):
    """What kind of model it is: which evidence there can be of it."""

    PROTOCOL = "protocol"
    LEARNED = "learned"


class GateNotMet(Refusal):
    """The evidence does not carry this level; the rows that do not hold are in `extra`."""

    code = "gate_not_met"


@dataclass(frozen=True, slots=True)
class Point:
    """The decisions of one week, and how many of them went otherwise than proposed."""

    decided: int
    overridden: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a model for one cohort and action; None: not known. Shares and errors are 0 to 1.

    `weeks` are the recent weeks, oldest first; `before` the period they are held against.
    """

    stopped: bool | None
    open_critical: bool | None
    weeks: tuple[Point, ...]
    before: Point
    drift: Decimal | None
    calibration_error: Decimal | None
    review_age_days: int | None
    approvals: int | None
    published: bool | None
    observed: int | None

    @property
    def decided(self) -> int:
        """All decisions counted here."""
        return self.before.decided + sum(week.decided for week in self.weeks)

    @property
    def override_share(self) -> Decimal | None:
        """The share of them that went otherwise; None without any."""
        if not self.decided:
            return None
        return Decimal(self.before.overridden + sum(week.overridden for week in self.weeks)) / self.decided

    @property
    def override_surge(self) -> bool:
        """Whether clinicians override more than the chart allows."""
        return surges(self.weeks, self.before, rules().chart)


@dataclass(frozen=True, slots=True)
class Chart:
    """The numbers of the p-chart."""

    least: int
    band: Decimal
    sigmas: int
    run: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a fact, a question, a limit, and the level it leaves, or the level it is asked for."""

    row_id: str
    fact: str
    test: str
    limit: Decimal | None
    level: Level
    kind: ModelKind | None
    unknown_lowers: bool
    words: str
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The file, read: the rows that lower, the rows of the gates, the chart, the periods in days."""

    version: str
    lowering: tuple[Row, ...]
    gates: tuple[Row, ...]
    chart: Chart
    days: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class InForce:
    """The level in force, and the rules that brought it below what was earned."""

    level: Level
    reasons: tuple[str, ...]


FACTS = frozenset(f.name for f in fields(Measured)) - {"weeks", "before"} | {
    "decided",
    "override_share",
    "override_surge",
}
TESTS = frozenset({"is_true", "is_false", "above", "at_least", "at_most"})


@cache
def rules() -> Rules:
    """The rules as shipped. Raises ValueError for a row without source or mark, or about a fact nobody knows."""
    return parse((files(__package__) / "data" / "autonomy_rules.json").read_bytes())


def parse(data: bytes) -> Rules:
    """Read the rules from the bytes of their file."""
    said = json.loads(data)
    number = {row["name"]: row["value"] for row in said["numbers"] if row["source"] and row["mark"] in MARKS}
    return Rules(
        version=said["version"],
        lowering=tuple(_row(row, level=row["to"]) for row in said["rules"]),
        gates=tuple(_row(row, level=row["level"]) for row in said["gates"]),
        chart=Chart(int(number["least_decisions"]), Decimal(number["band"]), int(number["sigmas"]), int(number["run"])),
        days={name: int(value) for name, value in number.items() if name.endswith("_days")},
    )


def _row(row: Mapping[str, str], *, level: str) -> Row:
    if not row["source"] or row["mark"] not in MARKS or row["fact"] not in FACTS or row["test"] not in TESTS:
        raise ValueError(f"{row['id']}: a row needs a source, a mark, a fact and a test that exist")
    limit = None if row["limit"] is None else Decimal(row["limit"])
    if (limit is None) != row["test"].startswith("is_"):
        raise ValueError(f"{row['id']}: a comparison needs a number, a yes or no needs none")
    return Row(
        row_id=row["id"],
        fact=row["fact"],
        test=row["test"],
        limit=limit,
        level=Level(level),
        kind=ModelKind(row["kind"]) if "kind" in row else None,
        unknown_lowers=bool(row.get("unknown_lowers", False)),
        words=row["words"],
        source=row["source"],
        mark=row["mark"],
    )


def _answers(row: Row, value: object) -> bool | None:
    """Whether the row's question is answered yes; None where the fact is not known."""
    if value is None:
        return None
    if row.limit is None:
        return value is (row.test == "is_true")
    held = Decimal(str(value))
    if row.test == "above":
        return held > row.limit
    return held >= row.limit if row.test == "at_least" else held <= row.limit


def in_force(earned: Level, measured: Measured, by: Rules) -> InForce:
    """The level earned, brought down by every row that speaks. Never above `earned`."""
    level, reasons = earned, []
    for row in by.lowering:
        answer = _answers(row, getattr(measured, row.fact))
        speaks = row.unknown_lowers if answer is None else answer
        if speaks and row.level.rank < earned.rank:
            level = level.at_most(row.level)
            reasons.append(row.row_id)
    return InForce(level, tuple(reasons))


def missing(kind: ModelKind, level: Level, measured: Measured, by: Rules) -> tuple[Row, ...]:
    """The rows of a gate that do not hold. A level nobody wrote a gate for has none to pass: all of it is missing."""
    asked = [row for row in by.gates if row.kind is kind and row.level is level]
    if not asked:
        raise GateNotMet("There is no gate to this level.", level=level.value)
    return tuple(row for row in asked if _answers(row, getattr(measured, row.fact)) is not True)


def check_gate(kind: ModelKind, level: Level, measured: Measured, by: Rules) -> None:
    """Refuse a level that the evidence does not carry, by name."""
    lacking = missing(kind, level, measured, by)
    if lacking:
        named = [{"row": row.row_id, "words": row.words} for row in lacking]
        raise GateNotMet("The evidence does not carry this level.", missing=named)


def limited(tier: Tier, level: Level) -> Tier:
    """What the tier table answered, brought to what the level allows; never less strict."""
    match level:
        case Level.OBSERVE:
            return Tier.WITHHELD
        case Level.SUGGEST:
            return tier.at_least(Tier.CLINICIAN_DECIDES)
        case Level.APPROVE_EACH:
            return tier.at_least(Tier.CLINICIAN_APPROVES)
        case Level.WITHIN_BOUNDARY:
            return tier


def surges(weeks: tuple[Point, ...], before: Point, chart: Chart) -> bool:
    """Whether the recent share is over the upper limit of the p-chart, or a run of weeks is over its centre line.

    The centre line is the share of the period before; of fewer decisions than `least`, the band. All in whole numbers
    and decimals: n(p - c) > sigmas * sqrt(n c (1 - c)) is compared squared.
    """
    centre = Decimal(before.overridden) / before.decided if before.decided >= chart.least else chart.band
    decided, overridden = sum(w.decided for w in weeks), sum(w.overridden for w in weeks)
    over = overridden - decided * centre
    if decided >= chart.least and over > 0 and over * over > chart.sigmas**2 * decided * centre * (1 - centre):
        return True
    run = 0
    for week in weeks:
        if week.decided:
            run = run + 1 if Decimal(week.overridden) / week.decided > centre else 0
        if run >= chart.run:
            return True
    return False
