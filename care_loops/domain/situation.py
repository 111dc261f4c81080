"""What the therapy rules look at: one patient at one moment, as the record stood. No rule reads anything else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .record import Adherence, Lab, LabKind, PastChange, PatientFacts, Regimen, SaidNo, SymptomReport
from .units import Bpm


@dataclass(frozen=True, slots=True)
class Situation:
    """The patient at `as_of`.

    `pulse` is the resting rate of the window, `None` when it was not measured. `in_danger` says that a danger lock or
    bar stands. `adherence` is `None` when there is no intake log.
    """

    as_of: datetime
    facts: PatientFacts
    regimen: Regimen
    labs: tuple[Lab, ...]
    past_changes: tuple[PastChange, ...]
    symptoms: tuple[SymptomReport, ...]
    pulse: Bpm | None
    in_danger: bool
    adherence: Adherence | None = None
    said_no: tuple[SaidNo, ...] = ()

    def latest(self, kind: LabKind) -> Lab | None:
        """The newest result of a kind; results from after `as_of` do not exist yet."""
        known = [lab for lab in self.labs if lab.kind is kind and lab.taken_at <= self.as_of]
        return max(known, key=lambda lab: (lab.taken_at, lab.lab_id), default=None)

    def takes(self, ingredient: str | None) -> bool:
        """Whether a drug is in the regimen."""
        return any(taken.ingredient == ingredient for taken in self.regimen.drugs)
