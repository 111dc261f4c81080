"""Who may act on a proposed change: the patient, a clinician who approves, a clinician who decides, or nobody.

Rules
 * The tier is a function of facts, the signed order, the operating mode and the policy in force. Nothing else is read.
 * Every row of the table must hold for `patient_may_act`. A row whose fact is not known does not hold.
 * A row that does not hold sends the change at least to its own tier; the strictest of them is the answer.
 * Emergency rows withhold. Cautions, stops, starts, timing and an uncertain model are for a clinician to decide,
   without a pre-filled choice; the rest is for a clinician to approve (DESIGN 8, CLINICAL 1.9).
 * `patient_may_act` implies new dose <= maximum of the order <= ceiling.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum


class Tier(StrEnum):
    """Who may act, from the least strict to the strictest."""

    PATIENT_MAY_ACT = "patient_may_act"
    CLINICIAN_APPROVES = "clinician_approves"
    CLINICIAN_DECIDES = "clinician_decides"
    WITHHELD = "withheld"

    def at_least(self, other: Tier) -> Tier:
        """The stricter of the two."""
        order = list(Tier)
        return max(self, other, key=order.index)


class OperatingMode(StrEnum):
    """What a pathway is switched to at a site."""

    OFF = "off"
    SIMULATION = "simulation"
    RESEARCH = "research"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class PathwayMode:
    """The operating mode of one pathway. Changes by the patient are off unless set (CLINICAL 0.1)."""

    mode: OperatingMode
    patient_directed: bool = False

    @property
    def on(self) -> bool:
        """Whether the pathway does anything at all."""
        return self.mode is not OperatingMode.OFF


@dataclass(frozen=True, slots=True)
class TierFacts:
    """What is known of the change and of its subject. `None`: not known.

    Doses are milligrams a day, pressures mmHg over the last 14 days, adherence per cent, age whole years, the rest days
    or counts. `ceiling` is the guideline maximum. `windows_out` counts consecutive valid windows out of range.
    """

    emergency: bool | None
    is_increase: bool | None
    is_start: bool | None
    is_stop: bool | None
    is_timing: bool | None
    change_steps: int | None
    new_dose: Decimal | None
    ceiling: Decimal | None
    restricted_class: bool | None
    days_taken: int | None
    days_since_change: int | None
    windows_out: int | None
    windows_apart_days: int | None
    lowest_systolic: Decimal | None
    highest_systolic: Decimal | None
    lowest_diastolic: Decimal | None
    highest_diastolic: Decimal | None
    adherence_percent: Decimal | None
    labs_in_date: bool | None
    labs_within_limits: bool | None
    contraindicated: bool | None
    interacting: bool | None
    cautioned: bool | None
    pregnant: bool | None
    atrial_fibrillation: bool | None
    end_stage_kidney_disease: bool | None
    age_years: int | None
    model_approved: bool | None
    in_distribution: bool | None
    model_confident: bool | None
    inputs_complete: bool | None
    consents: bool | None
    human_only: bool | None
    explanation_ready: bool | None
    can_decline: bool | None
    quota_left: int | None
    kill_switch_open: bool | None


@dataclass(frozen=True, slots=True)
class BoundaryFacts:
    """The signed titration order (boundary), as far as the table asks. `days_left` may be a fraction of a day."""

    signed: bool | None
    by_prescriber: bool | None
    review_everything: bool | None
    days_since_start: Decimal | None
    days_left: Decimal | None
    life_days: Decimal | None
    names_drug: bool | None
    names_product: bool | None
    allows_direction: bool | None
    names_target: bool | None
    max_steps: int | None
    steps_left: int | None
    max_dose: Decimal | None
    min_interval_days: int | None


Fact = bool | int | Decimal | None


class Subject(StrEnum):
    """What a row looks at."""

    FACTS = "facts"
    BOUNDARY = "boundary"
    MODE = "mode"


class Question(StrEnum):
    """The question of a row."""

    IS_TRUE = "is_true"
    IS_FALSE = "is_false"
    EQUALS = "equals"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ABOVE = "above"


COMPARES: dict[Question, Callable[[Decimal, Decimal], bool]] = {
    Question.EQUALS: operator.eq,
    Question.AT_LEAST: operator.ge,
    Question.AT_MOST: operator.le,
    Question.ABOVE: operator.gt,
}

FIELDS: dict[Subject, frozenset[str]] = {
    Subject.FACTS: frozenset(field.name for field in fields(TierFacts)),
    Subject.BOUNDARY: frozenset(field.name for field in fields(BoundaryFacts)),
    Subject.MODE: frozenset({"on", "patient_directed"}),
}


@dataclass(frozen=True, slots=True)
class FactName:
    """A fact by its subject and name; only facts that exist can be named."""

    subject: Subject
    name: str

    def __post_init__(self) -> None:
        if self.name not in FIELDS[self.subject]:
            raise ValueError(f"there is no fact {self.subject.value}.{self.name}")


@dataclass(frozen=True, slots=True)
class TierRow:
    """One row: a fact, a question, what it is held against (a number or another fact), and the tier if it fails."""

    row_id: str
    row: str  # the row of CLINICAL 1.9; "E" emergency, "M" mode
    fact: FactName
    test: Question
    limit: Decimal | None
    other: FactName | None
    else_tier: Tier
    words: str
    citation: str
    mark: str

    def __post_init__(self) -> None:
        compares = self.test in COMPARES
        if compares != ((self.limit is None) != (self.other is None)) or (not compares and self.limit is not None):
            raise ValueError(f"{self.row_id}: a comparison needs one number or one fact, a yes or no needs none")
        if self.else_tier is Tier.PATIENT_MAY_ACT:
            raise ValueError(f"{self.row_id}: a row that fails cannot leave the change to the patient")


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """The table in force, by name, version and digest of the file it came from."""

    name: str
    version: str
    digest: str
    rows: tuple[TierRow, ...]


@dataclass(frozen=True, slots=True)
class Tiering:
    """Who may act, and the ids of the rows that did not hold."""

    tier: Tier
    reasons: tuple[str, ...]


def assign(facts: TierFacts, boundary: BoundaryFacts | None, policy: TierPolicy, mode: PathwayMode) -> Tiering:
    """The tier of a change, by the table in force. `boundary` is `None` where no order is signed."""
    tier, reasons = Tier.PATIENT_MAY_ACT, []
    for row in policy.rows:
        if not holds(row, facts, boundary, mode):
            tier = tier.at_least(row.else_tier)
            reasons.append(row.row_id)
    return Tiering(tier, tuple(reasons))


def holds(row: TierRow, facts: TierFacts, boundary: BoundaryFacts | None, mode: PathwayMode) -> bool:
    """Whether one row holds. A fact that is not known, on either side, does not."""
    value = _value(row.fact, facts, boundary, mode)
    limit = row.limit if row.other is None else _value(row.other, facts, boundary, mode)
    match row.test:
        case Question.IS_TRUE:
            return value is True
        case Question.IS_FALSE:
            return value is False
        case _:
            return value is not None and limit is not None and COMPARES[row.test](Decimal(value), Decimal(limit))


def _value(fact: FactName, facts: TierFacts, boundary: BoundaryFacts | None, mode: PathwayMode) -> Fact:
    source: object = {Subject.FACTS: facts, Subject.BOUNDARY: boundary, Subject.MODE: mode}[fact.subject]
    value: Fact = None if source is None else getattr(source, fact.name)
    return value


def reference_rows(policy: TierPolicy) -> tuple[tuple[str, ...], ...]:
    """For the generated reference: the row of CLINICAL 1.9, its id, the words, and who acts when it fails."""
    head = ("row", "id", "must hold", "test", "else at least", "mark", "source")
    return (
        head,
        *(
            (row.row, row.row_id, row.words, _written(row), row.else_tier.value, row.mark, row.citation)
            for row in policy.rows
        ),
    )


def _written(row: TierRow) -> str:
    against = row.limit if row.other is None else f"{row.other.subject.value}.{row.other.name}"
    suffix = "" if against is None else f" {against}"
    return f"{row.fact.subject.value}.{row.fact.name} {row.test.value}{suffix}"
