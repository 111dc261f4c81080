"""What the danger rules are told, and what one rule finds in it.

Rules
 * Everything arrives in the call: the event, what is known of the person, and when it was received. No clock.
 * A measurement whose clock is uncertain counts as taken when it was received, where that is known, else as received
   now: it bars for the danger window, no shorter and no longer. One that lies in the future counts as received now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..domain.readings import Flag, Implausible, Method, Reading, Status
from ..domain.record import (
    DrugClass,
    Lab,
    PastChange,
    PatientFacts,
    Pregnancy,
    Regimen,
    SymptomReport,
)
from ..plausibility import Place, sentinel_places
from .table import Component, DangerRule, DangerTable, Population

Event = Reading | Lab | SymptomReport

_PLACES = {Component.SYSTOLIC: Place.SYSTOLIC, Component.DIASTOLIC: Place.DIASTOLIC, Component.PULSE: Place.PULSE}

#: Held back because the numbers contradict each other, not because they are extreme: such a value may be an artefact.
_CONTRADICTORY = frozenset(
    {
        Implausible.SENTINEL,
        Implausible.SYSTOLIC_NOT_ABOVE_DIASTOLIC,
        Implausible.PULSE_PRESSURE_TOO_SMALL,
        Implausible.EQUIVOCAL,
    }
)
_DISTURBED = (Flag.MOTION, Flag.POST_EXERCISE)


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the person besides the event itself.

    `readings`, `symptoms`: those taken or received within the danger window (14 days); the event may be among them.
    `labs` and `changes` reach back far enough to hold a baseline before each change. `regimen` is `None` when there is
    no record of one, which counts as not fully known.
    """

    facts: PatientFacts
    regimen: Regimen | None
    readings: tuple[Reading, ...] = ()
    symptoms: tuple[SymptomReport, ...] = ()
    labs: tuple[Lab, ...] = ()
    changes: tuple[PastChange, ...] = ()

    @property
    def pregnant(self) -> bool:
        """Pregnant, or within six weeks after."""
        return self.facts.pregnancy in (Pregnancy.PREGNANT, Pregnancy.POSTPARTUM)

    @property
    def classes(self) -> frozenset[DrugClass]:
        """Drug classes that are taken, as far as known."""
        return frozenset(d.drug_class for d in self.regimen.drugs) if self.regimen else frozenset()

    @property
    def regimen_known(self) -> bool:
        """Whether every entry of the regimen could be read."""
        return self.regimen is not None and self.regimen.fully_known


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that spoke of some evidence. `at` is the newest of it.

    `single`: one value, not yet repeated. `cuffless`: it rests on a cuffless value. `weak`: it rests on a value that
    contradicts itself or was disturbed by movement. `partly`: it rests on parts of a reading that was refused.
    """

    rule: DangerRule
    evidence: tuple[str, ...]
    at: datetime
    single: bool = False
    cuffless: bool = False
    weak: bool = False
    partly: bool = False


def applies(rule: DangerRule, context: Context) -> bool:
    """Whether the rule is for this person and the drugs taken."""
    if rule.population is Population.PREGNANT and not context.pregnant:
        return False
    if not rule.drug_classes or context.classes & set(rule.drug_classes):
        return True
    return rule.unknown_drugs_count and not context.regimen_known


def values_of(reading: Reading, table: DangerTable) -> Mapping[Component, Decimal]:
    """The components that are numbers: not absent, and no device sentinel."""
    none = sentinel_places(reading, table.sentinels)
    quantities = (
        (Component.SYSTOLIC, reading.systolic),
        (Component.DIASTOLIC, reading.diastolic),
        (Component.PULSE, reading.pulse),
    )
    return {part: one.value for part, one in quantities if one is not None and _PLACES[part] not in none}


def is_void(reading: Reading) -> bool:
    """Entered in error: it says nothing."""
    return reading.status is Status.ENTERED_IN_ERROR


def is_cuffless(reading: Reading) -> bool:
    """Measured without a cuff: it may ask for a cuff reading, no more (CLINICAL 0.2)."""
    return reading.method is Method.CUFFLESS


def is_weak(reading: Reading, table: DangerTable) -> bool:
    """Contradicts itself, or was disturbed by movement or exertion."""
    return contradicts_itself(reading, table) or is_disturbed(reading)


def contradicts_itself(reading: Reading, table: DangerTable) -> bool:
    """Its numbers cannot both be right, under whichever name it was held back: a wrong clock hides no swapped pair."""
    values = values_of(reading, table)
    systolic, diastolic = values.get(Component.SYSTOLIC), values.get(Component.DIASTOLIC)
    swapped = systolic is not None and diastolic is not None and systolic <= diastolic
    return swapped or reading.quarantined in _CONTRADICTORY


def is_held_back(reading: Reading, table: DangerTable) -> bool:
    """Quarantined by any name, or contradicts itself: it speaks for itself, and confirms no other."""
    return reading.quarantined is not None or contradicts_itself(reading, table)


def is_disturbed(reading: Reading) -> bool:
    """Taken in movement or after exercise."""
    return any(flag in reading.flags for flag in _DISTURBED)


def when_taken(event: Event, received_at: datetime) -> datetime:
    """When it was measured, as far as that can be believed."""
    match event:
        case Reading():
            at = (event.received_at or received_at) if Flag.CLOCK_UNCERTAIN in event.flags else event.taken_at
        case Lab():
            at = event.taken_at
        case SymptomReport():
            at = event.reported_at
    return min(at, received_at)
