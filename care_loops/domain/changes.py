"""A change of regimen: what could be done, what limits made of it, what is predicted of it.

Rules
 * One drug, one step, one direction (CLINICAL 1.5 I8).
 * A change says old and new total daily dose, and what to stop.
 * An intensification is a start or a step up; limits bind these. Reductions and stops are never held back (N3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .record import DrugClass
from .units import Milligrams, MmHg


class ChangeKind(StrEnum):
    """What kind of change it is."""

    STAY = "stay"
    STEP_UP = "step_up"
    STEP_DOWN = "step_down"
    START = "start"
    STOP = "stop"
    TIMING = "timing"

    @property
    def intensifies(self) -> bool:
        """Whether more drug would be given."""
        return self in (ChangeKind.STEP_UP, ChangeKind.START)

    @property
    def reduces(self) -> bool:
        """Whether less drug would be given."""
        return self in (ChangeKind.STEP_DOWN, ChangeKind.STOP)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one drug. `steps` is signed; doses are total milligrams a day, `None` where there is none."""

    kind: ChangeKind
    ingredient: str | None
    drug: str | None
    drug_class: DrugClass | None
    old_daily_dose: Milligrams | None
    new_daily_dose: Milligrams | None
    steps: int
    product: str | None = None  # RxNorm SCD of the new strength
    taper: tuple[Milligrams, ...] = ()  # daily doses on the way to a stop
    note: str | None = None  # code of what to tell, e.g. "take_in_the_evening"

    @property
    def intensifies(self) -> bool:
        """Whether more drug would be given."""
        return self.kind.intensifies

    @property
    def reduces(self) -> bool:
        """Whether less drug would be given."""
        return self.kind.reduces


STAY = Change(
    kind=ChangeKind.STAY,
    ingredient=None,
    drug=None,
    drug_class=None,
    old_daily_dose=None,
    new_daily_dose=None,
    steps=0,
)


class Severity(StrEnum):
    """How a rule binds: a stop cannot be proposed, a caution goes to a clinician, a warning is shown."""

    HARD_STOP = "hard_stop"
    CAUTION = "caution"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A rule that spoke: its code, its row in the data file, how it binds, and the words shown."""

    rule: str
    severity: Severity
    words: str
    citation: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change to be considered, with what the rules said. `barred` ones are kept to be shown, never proposed."""

    change: Change
    spoken: tuple[Spoken, ...] = ()

    @property
    def barred(self) -> bool:
        """Whether any rule stops it."""
        return any(s.severity is Severity.HARD_STOP for s in self.spoken)

    @property
    def cautioned(self) -> bool:
        """Whether any rule sends it to a clinician without a pre-filled choice."""
        return any(s.severity is Severity.CAUTION for s in self.spoken)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which predictor spoke: registry id, version, digest of what ran."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a predictor said of the candidates: the change it would propose, or none, with why.

    `expected` is the mean pressure expected about four weeks later where the predictor knows one.
    """

    model: ModelRef
    proposed: Change
    reasons: tuple[str, ...]
    uncertain: bool
    out_of_distribution: bool
    expected_systolic: MmHg | None = None
    expected_diastolic: MmHg | None = None
