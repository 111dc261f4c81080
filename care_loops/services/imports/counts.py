"""What an import did, in numbers.

Rules
 * Every blood pressure is counted once: stored, absent (a component is lacking), quarantined, refused or unchanged.
 * What was entered in error is kept and is no blood pressure of anybody: it counts as refused by that name.
 * `unchanged` counts patients, pressures, medications and laboratory results that the record already held just so: what
   one run counts anywhere else, the next run of the same files counts here.
 * `danger` counts readings, each once: crisis before low, either of them only when it touched an alert; one that was
   too old to act on is historic.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from ...domain.alerts import AlertKind
from ...domain.readings import Status
from ...fhir_r4.resources import FhirPressure
from ..refused_parts import Looked
from ..take_in import ArrivalOutcome, ArrivalResult

_LOW = frozenset({AlertKind.LOW, AlertKind.LOW_DIASTOLIC})
_GRAVE = _LOW | {AlertKind.CRISIS}


@dataclass(slots=True)
class ImportCounts:
    """The counts of one import, as `import_fhir --json` prints them."""

    patients: int = 0
    stored: int = 0
    absent: int = 0
    quarantined: int = 0
    known: int = 0
    unknown: int = 0
    labs: int = 0
    crisis: int = 0
    low: int = 0
    historic: int = 0
    unchanged: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def count_pressure(self, sent: FhirPressure, became: ArrivalResult) -> None:
        """Count one blood pressure and what the danger rules said of it."""
        if became.outcome is ArrivalOutcome.DUPLICATE:
            self.unchanged += 1
            return
        if sent.status is Status.ENTERED_IN_ERROR:
            self.refused["entered_in_error"] += 1
            return
        if sent.systolic is None or sent.diastolic is None:
            self.absent += 1
        elif became.outcome is ArrivalOutcome.STORED:
            self.stored += 1
        else:
            self.quarantined += 1
        if AlertKind.CRISIS in became.danger:
            self.crisis += 1
        elif _LOW & set(became.danger):
            self.low += 1
        elif _GRAVE & set(became.historic):
            self.historic += 1

    def count_danger(self, looked: Looked) -> None:
        """Count what the danger rules said of something that was refused."""
        if AlertKind.CRISIS in looked.kinds:
            self.crisis += 1
        elif _LOW & set(looked.kinds):
            self.low += 1
        elif _GRAVE & set(looked.historic):
            self.historic += 1

    def add(self, other: ImportCounts) -> None:
        """Take the counts of one patient into those of the whole, once that patient is committed."""
        for name in ("patients", "stored", "absent", "quarantined", "known", "unknown", "labs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("crisis", "low", "historic", "unchanged"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused += other.refused

    def freeze(self) -> dict[str, Any]:
        """All numbers by name, to be kept with the stage they are of."""
        return asdict(self) | {"refused": dict(self.refused)}

    @classmethod
    def thaw(cls, kept: dict[str, Any]) -> ImportCounts:
        """The numbers of a stage as they were kept."""
        return cls(**(kept | {"refused": Counter(kept["refused"])}))

    def as_json(self) -> dict[str, Any]:
        """The object that is printed."""
        return {
            "patients": self.patients,
            "blood_pressure": {"stored": self.stored, "absent": self.absent, "quarantined": self.quarantined},
            "medications": {"known": self.known, "unknown": self.unknown},
            "labs": self.labs,
            "refused": dict(sorted(self.refused.items())),
            "danger": {"crisis": self.crisis, "low": self.low, "historic": self.historic},
            "unchanged": self.unchanged,
        }
