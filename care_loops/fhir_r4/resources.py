"""What a resource says, as a value: typed, in our units, still without a patient of ours.

Rules
 * `source_id` is `Type/id`, the same every time the resource comes; `patient` is the reference as written.
 * Fields that a resource did not say are `None` or empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from ..domain.parts import LabRead, PartsRead
from ..domain.readings import Implausible, Method, Position, Setting, Status
from ..domain.record import LabKind, Sex
from ..terminology import UnitOf
from .values import When

Codings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FhirPatient:
    """A Patient. `aliases` are all keys under which others refer to it."""

    source_id: str
    aliases: tuple[str, ...]
    given_name: str
    family_name: str
    born_on: date | None
    sex: Sex
    died: When | None
    dead: bool
    synthetic: bool


@dataclass(frozen=True, slots=True)
class FhirPressure:
    """A blood pressure in mmHg. `unreadable` names a component that was sent and cannot be read; the other stands."""

    source_id: str
    patient: str
    taken: When
    systolic: Decimal | None
    diastolic: Decimal | None
    pulse: Decimal | None
    absent_reason: str
    unreadable: str
    status: Status
    setting: Setting
    method: Method
    position: Position
    device: str
    context: str
    quarantined: Implausible | None
    members: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class FhirRate:
    """A heart rate, per minute."""

    source_id: str
    patient: str
    taken: When
    value: Decimal
    context: str


@dataclass(frozen=True, slots=True)
class FhirLab:
    """A laboratory result in the unit of `LAB_UNITS[kind]`, and as it was sent."""

    source_id: str
    patient: str
    taken: When
    kind: LabKind
    value: Decimal
    sent_value: str
    sent_unit: str


@dataclass(frozen=True, slots=True)
class FhirRefused:
    """What could be read of an Observation that was refused, or was not taken whole: only for danger rules."""

    source_id: str
    patient: str
    parts: PartsRead
    labs: tuple[LabRead, ...]
    setting: Setting
    method: Method

    @property
    def says_something(self) -> bool:
        """Whether any value could be read."""
        return self.parts.measured or bool(self.labs)


@dataclass(frozen=True, slots=True)
class Dose:
    """One stated dose: `amount` milligrams, or units (tablets) of a product, `per_day` times a day."""

    amount: Decimal
    unit: UnitOf
    per_day: Decimal

    def daily_mg(self, strength_mg: Decimal | None) -> Decimal | None:
        """Milligrams a day; `None` when units are counted and the strength of one is not known."""
        if self.unit is UnitOf.DOSE_MG:
            return self.amount * self.per_day
        return None if strength_mg is None else self.amount * strength_mg * self.per_day


class Taking(StrEnum):
    """Whether a medication is taken now."""

    ACTIVE = "active"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class FhirMedication:
    """An order or a statement of a medication. `unsure` names why nobody can say whether it is taken.

    `doses` are all doses of a day; empty with `dose_problem` when they could not be read. `nothing`: the word that no
    medicines are taken, or that this is over; `ends` is until when it holds.
    """

    source_id: str
    patient: str
    codings: Codings
    medication: str
    name: str
    taking: Taking
    unsure: str
    at: When
    doses: tuple[Dose, ...]
    dose_problem: str
    nothing: bool = False
    ends: When | None = None


@dataclass(frozen=True, slots=True)
class FhirTakenBack:
    """A resource of medicines that says nothing we can take. Where it once said that none are taken, it no longer
    does."""

    source_id: str
    patient: str


@dataclass(frozen=True, slots=True)
class FhirCondition:
    """A condition. `active` is `None` where the resource does not say."""

    source_id: str
    patient: str
    codings: Codings
    display: str
    active: bool | None
    onset: When | None
    abated: When | None
    recorded: When | None
    encounter: str


@dataclass(frozen=True, slots=True)
class FhirAllergy:
    """An allergy or intolerance."""

    source_id: str
    patient: str
    codings: Codings
    display: str
    active: bool
    recorded: When | None


@dataclass(frozen=True, slots=True)
class FhirDrug:
    """A Medication resource, referred to by orders."""

    aliases: tuple[str, ...]
    codings: Codings
    name: str


@dataclass(frozen=True, slots=True)
class FhirEncounter:
    """An Encounter: only when it began, for conditions that say nothing else."""

    aliases: tuple[str, ...]
    started: When | None


Evidence = (
    FhirPressure | FhirRate | FhirLab | FhirRefused | FhirMedication | FhirTakenBack | FhirCondition | FhirAllergy
)
