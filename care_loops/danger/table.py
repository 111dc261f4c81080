"""The danger rules as data: what must hold, how grave it is, what it stops, who says so.

Rules
 * One row, one rule, one boundary, written once: `compare` and `value` (CLINICAL 1.3, boundary convention).
 * A row names what it needs (`When`); what it does not name, it does not need.
 * A patient's own limits can only narrow: alarm earlier, never later (`personal`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from operator import ge, gt, le, lt

from ..domain.alerts import AlertKind, AlertSeverity, Ask, EscalationStep, Scope
from ..domain.provenance import Cited, Source
from ..domain.record import DrugClass, LabKind, SymptomKind
from ..plausibility import Sentinel


class When(StrEnum):
    """What a rule looks at."""

    READING = "reading"  # one component of one reading
    READING_WITH_SYMPTOM = "reading_with_symptom"  # such a reading, or one `of` other rules, and a symptom near it
    READING_REPEATED = "reading_repeated"  # two readings `of` other rules
    ORTHOSTATIC = "orthostatic"  # lying or seated, then standing: the fall
    ORTHOSTATIC_WITH_SYMPTOM = "orthostatic_with_symptom"
    LAB = "lab"
    LAB_RISE_PERCENT = "lab_rise_percent"  # since the last result before a change of a drug class
    LAB_FALL_PERCENT = "lab_fall_percent"
    SYMPTOM = "symptom"
    RECORD = "record"  # what is known of the person, whatever happens
    AVERAGE = "average"  # the mean of a window


class Component(StrEnum):
    """What is measured in a reading."""

    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    PULSE = "pulse"


class Population(StrEnum):
    """For whom a rule is. `PREGNANT` includes six weeks after the end of pregnancy."""

    ALL = "all"
    PREGNANT = "pregnant"


COMPARE: Mapping[str, Callable[[Decimal, Decimal], bool]] = {">=": ge, ">": gt, "<=": le, "<": lt}


@dataclass(frozen=True, slots=True)
class Test:
    """`component compare value`, as in "systolic >= 180". `when_absent`: what an absent component answers."""

    component: Component | LabKind | None
    compare: str
    value: Decimal
    when_absent: bool = False

    def holds(self, value: Decimal | None) -> bool:
        """Whether `value` meets it."""
        return self.when_absent if value is None else COMPARE[self.compare](value, self.value)


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows when a rule speaks of something recent."""

    severity: AlertSeverity
    page: bool
    lock: bool
    bars: frozenset[Scope]
    same_day_item: bool
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class DangerRule:
    """One row. Empty tuples and `None` ask for nothing.

    `guard` must hold beside `test`. `drug_classes`: one of them is taken; `unknown_drugs_count`: or the regimen is not
    fully known. `of`: rows of which a reading must be one. `within_days`, `consecutive`: how two readings may lie.
    `signed_limit`: the limits signed for this person that its boundary comes from; empty: the site's.
    """

    rule: str
    kind: AlertKind
    when: When
    population: Population
    test: Test | None
    guard: Test | None
    of: tuple[str, ...]
    symptoms: tuple[SymptomKind, ...]
    drug_classes: tuple[DrugClass, ...]
    unknown_drugs_count: bool
    at_rest: bool
    within_days: int
    consecutive: bool
    effects: Effects
    source: Source
    signed_limit: str = ""

    def __post_init__(self) -> None:
        lacks = [what for what, whens in _NEEDS.items() if self.when in whens and not getattr(self, what)]
        if lacks or (self.when is When.READING_WITH_SYMPTOM and self.test is None and not self.of):
            raise ValueError(f"{self.rule}: {self.when} needs {' and '.join(lacks) or 'a boundary or other rows'}")

    @property
    def boundary(self) -> Test:
        """The boundary of a rule that has one; a rule without is a bug of the caller."""
        if self.test is None:
            raise ValueError(f"{self.rule} has no boundary")
        return self.test


#: What a rule cannot be without, by what it looks at.
_NEEDS: Mapping[str, frozenset[When]] = {
    "test": frozenset(
        {When.READING, When.ORTHOSTATIC, When.LAB, When.LAB_RISE_PERCENT, When.LAB_FALL_PERCENT, When.AVERAGE}
    ),
    "of": frozenset({When.READING_REPEATED, When.ORTHOSTATIC_WITH_SYMPTOM}),
    "symptoms": frozenset({When.SYMPTOM, When.READING_WITH_SYMPTOM, When.ORTHOSTATIC_WITH_SYMPTOM}),
    "within_days": frozenset({When.READING_REPEATED}),
    "drug_classes": frozenset({When.LAB_RISE_PERCENT, When.LAB_FALL_PERCENT}),
}


@dataclass(frozen=True, slots=True)
class DangerWindows:
    """Times of the rules. `page_hours`: up to this age a finding pages. `bar_days`: up to this age it bars."""

    page_hours: Decimal
    bar_days: Decimal
    symptom_hours: Decimal
    repeat_gap_seconds: Decimal
    standing_after_seconds: Decimal
    standing_within_seconds: Decimal
    lab_after_change_days: Decimal
    lab_baseline_days: Decimal
    rows: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class DangerTable:
    """All that danger rules read besides the record."""

    version: str
    rules: tuple[DangerRule, ...]
    windows: DangerWindows
    sentinels: tuple[Sentinel, ...]
    escalation: Mapping[AlertSeverity, tuple[EscalationStep, ...]]
    _by_when: Mapping[When, tuple[DangerRule, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_when = {when: tuple(rule for rule in self.rules if rule.when is when) for when in When}
        object.__setattr__(self, "_by_when", by_when)

    def of(self, when: When) -> tuple[DangerRule, ...]:
        """The rules that look at one thing."""
        return self._by_when[when]


def escalation(severity: AlertSeverity, table: DangerTable) -> tuple[EscalationStep, ...]:
    """Whom an unacknowledged alert of this severity reaches, and when, earliest first; empty: it waits."""
    return table.escalation.get(severity, ())
