"""What a recommendation rests on, frozen, and what came of it: everything needed to compute it again.

Rules
 * If it changed the answer, it is here (STYLE habit 5): the record, what was signed, the mode and policies in force,
   the predictor, and the versions of the tables.
 * An outcome is a proposal or a named reason for none, never both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from .alerts import Scope
from .changes import Candidate, Change, ModelRef, Prediction, Spoken
from .provenance import TableRef
from .readings import Reading, WindowResult
from .record import (
    Adherence,
    AlertLimits,
    Boundary,
    CurrentConsent,
    Lab,
    PastChange,
    PatientFacts,
    Regimen,
    SaidNo,
    SymptomReport,
    Target,
)
from .refusals import Withheld


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert no clinician has ended yet: whether it locks, and what it bars."""

    alert_id: str
    kind: str
    locks: bool
    bars: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class ModeInForce:
    """The operating mode of the pathway, as its policy says. `quota_left`: patient-facing changes still open today."""

    mode: str
    patient_directed: bool
    stopped: bool
    quota_left: int
    policy: str


@dataclass(frozen=True, slots=True)
class StoppedBy:
    """A suspension that touched this person, model, boundary or device when the evidence was gathered."""

    suspension: str
    scope: str
    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class ChosenPolicy:
    """A policy in force besides the mode: its kind, how a decision names it, and the values it chose, by row.

    The values are those of the cited file (`governance.policy_kinds`). `stands` is False where that file no longer says
    what was approved: then nothing is proposed under it.
    """

    kind: str
    ref: str
    digest: str
    values: tuple[tuple[str, str], ...]
    stands: bool = True

    def value(self, row: str) -> str | None:
        """What it chose for a row; None where it leaves what is shipped."""
        return dict(self.values).get(row)


@dataclass(frozen=True, slots=True)
class LevelOf:
    """How far the model may go with one kind of change in this person's cohort, and the rules that lowered it."""

    action: str
    level: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One patient at `as_of`. Readings are those the windows and the danger window need, oldest first.

    `window_closed_at` is when the newest window closed: looking again later does not reopen the average.
    """

    pathway: str
    as_of: datetime
    window_closed_at: datetime
    zone: str
    facts: PatientFacts
    target: Target | None
    boundary: Boundary | None
    consent: CurrentConsent
    readings: tuple[Reading, ...]
    regimen: Regimen
    changes: tuple[PastChange, ...]
    boundary_steps_used: int
    labs: tuple[Lab, ...]
    symptoms: tuple[SymptomReport, ...]
    adherence: Adherence | None
    said_no: tuple[SaidNo, ...]
    alerts: tuple[OpenAlert, ...]
    mode: ModeInForce | None
    tier_policy: str | None
    model: ModelRef | None
    model_fault: str | None
    tables: tuple[TableRef, ...]
    alert_limits: tuple[AlertLimits, ...] = ()  # absent where frozen before any could be signed: then there were none
    policies: tuple[ChosenPolicy, ...] = ()  # absent where frozen before any could be put forward
    cohorts: tuple[str, ...] = ()  # absent where frozen before cohorts were told apart
    stopped: tuple[StoppedBy, ...] = ()  # absent where frozen before anything could be suspended
    autonomy: tuple[LevelOf, ...] = ()  # absent where frozen before levels were earned; then `cohorts` is too


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the evidence. With `withheld` set, `change` is STAY and `detail` says more in codes."""

    withheld: Withheld | None
    detail: tuple[str, ...]
    change: Change
    before_limits: Change
    candidates: tuple[Candidate, ...]
    spoken: tuple[Spoken, ...]
    prediction: Prediction | None
    barred: tuple[str, ...]
    tier: str
    tier_reasons: tuple[str, ...]
    windows: tuple[WindowResult, ...]


def candidate_key(change: Change) -> str:
    """How a door names a candidate, e.g. `step_up:29046`; the ingredient is absent for staying."""
    dose = change.new_daily_dose
    suffix = f":{_plain(dose.value)}" if dose is not None else ""
    return f"{change.kind.value}:{change.ingredient or ''}{suffix}"


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")
