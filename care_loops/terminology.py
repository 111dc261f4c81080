"""Codes of interchange: what a LOINC code measures, what a unit is worth, what marks a reading as taken at home.

Rules
 * A thing is recognised by its code system and code, a unit by its UCUM code or, without one, by its exact text. Names
   are never read (N2).
 * A unit converts only to the quantity it is listed for: mg/dL of creatinine is not mg/dL of anything else.
 * A panel code says nothing of where a reading was taken: Synthea codes office pressure 55284-4, which others use at
   home. Only a marker makes a reading a home reading (CLINICAL 1.10).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from .domain.provenance import Source
from .domain.readings import Method, Position, Setting
from .domain.record import LabKind

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
MDC = "urn:iso:std:iso:11073:10101"

# The same code systems by the object identifiers that HL7 registered for them, as senders from V3 and CDA write them.
_BY_OID = {
    "2.16.840.1.113883.6.1": LOINC,
    "2.16.840.1.113883.6.96": SNOMED,
    "2.16.840.1.113883.6.8": UCUM,
    "2.16.840.1.113883.6.88": RXNORM,
    "2.16.840.1.113883.6.24": MDC,
    "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "2.16.840.1.113883.6.3": "http://hl7.org/fhir/sid/icd-10",
    "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
}


def code_system(written: str) -> str:
    """A code system by its own name, however it was written: object identifier, https, slash at the end."""
    plain = written.removeprefix("urn:oid:").rstrip("/")
    if plain.startswith("https://"):
        plain = "http://" + plain.removeprefix("https://")
    return _BY_OID.get(plain, plain if plain in _BY_OID.values() else written)


_ANNOTATION = re.compile(r"(?<=\w|\])\{[^{}]*\}$")


class Measured(StrEnum):
    """What an observation code stands for, as far as this record takes it in."""

    PRESSURE_PANEL = "pressure_panel"
    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    HEART_RATE = "heart_rate"
    POTASSIUM = "potassium"
    SODIUM = "sodium"
    CREATININE = "creatinine"
    EGFR = "egfr"
    UACR = "uacr"
    PREGNANCY_STATUS = "pregnancy_status"

    @property
    def lab(self) -> LabKind | None:
        """The laboratory test it is, or `None`."""
        return LabKind(self.value) if self.value in set(LabKind) else None


class UnitOf(StrEnum):
    """What a unit is a unit of."""

    PRESSURE = "pressure"
    RATE = "rate"
    DOSE_MG = "dose_mg"
    DOSE_UNITS = "dose_units"  # tablets, capsules


@dataclass(frozen=True, slots=True)
class ObservationCode:
    """One code: what it measures, and the posture its name says."""

    system: str
    code: str
    measured: Measured
    position: Position
    source: Source


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One way to write a unit of `of` (a `UnitOf`, or a lab kind): `factor` turns the number into our unit."""

    of: str
    written: str
    factor: Decimal
    only_for: tuple[str, ...]  # observation codes; empty: all
    source: Source


class MarkerKind(StrEnum):
    """Where a marker stands in a resource."""

    PROFILE = "profile"
    SETTING_CODE = "setting_code"
    METHOD_CODE = "method_code"
    BODY_SITE = "body_site"


@dataclass(frozen=True, slots=True)
class Marker:
    """A code or profile that says where, or how, pressure was measured."""

    kind: MarkerKind
    value: str
    setting: Setting | None
    method: Method | None
    source: Source


@dataclass(frozen=True, slots=True)
class TimingCode:
    """A code for how often a dose is taken: times a day."""

    code: str
    per_day: Decimal
    source: Source


class NoMedicines(StrEnum):
    """What says that no medicines are taken: a statement of its own, or a list of medicines with why it is empty."""

    STATEMENT = "statement"
    LIST = "list"
    EMPTY_REASON = "empty_reason"


@dataclass(frozen=True, slots=True)
class NoMedicinesCode:
    """A code by which a record says so."""

    what: NoMedicines
    system: str
    code: str
    source: Source


@dataclass(frozen=True, slots=True)
class Codebook:
    """All codes of interchange."""

    observations: Mapping[tuple[str, str], ObservationCode]
    units: Mapping[tuple[str, str], UnitRow]
    markers: Mapping[tuple[MarkerKind, str], Marker]
    timings: Mapping[str, TimingCode]
    no_medicines: Mapping[tuple[str, str], NoMedicinesCode]

    def says_no_medicines(self, what: NoMedicines, codings: Iterable[tuple[str, str]]) -> bool:
        """Whether one of these codings is a code of that kind."""
        found = (self.no_medicines.get(coding) for coding in codings)
        return any(row is not None and row.what is what for row in found)

    def observation(self, codings: Iterable[tuple[str, str]]) -> tuple[ObservationCode, ...]:
        """The rows for the codings of one concept, each (system, code); a code beside it that is not here takes
        nothing away."""
        return tuple(row for coding in codings if (row := self.observations.get(coding)) is not None)

    def known_without_system(self, codings: Iterable[tuple[str, str]]) -> bool:
        """Whether a code that stands there without its system is one of these."""
        return any(not system and (LOINC, code) in self.observations for system, code in codings)

    def factor(self, of: str, written: str, *, code: str = "") -> Decimal | None:
        """What to multiply a number in this unit with, or `None` when the unit is not known for it. What UCUM lets
        people note in braces behind a unit does not change it."""
        row = self.units.get((of, written)) or self.units.get((of, _ANNOTATION.sub("", written)))
        if row is None or (row.only_for and code not in row.only_for):
            return None
        return row.factor

    def one_factor(self, of: str, *, code: str = "") -> Decimal | None:
        """What a number without a unit is worth: known only where every unit of it says the same number."""
        rows = [row for row in self.units.values() if row.of == of and (not row.only_for or code in row.only_for)]
        factors = {row.factor for row in rows}
        return factors.pop() if len(factors) == 1 else None

    def per_day(self, code: str) -> Decimal | None:
        """Times a day that a timing code stands for, or `None`."""
        row = self.timings.get(code)
        return row.per_day if row else None

    def reference_rows(self) -> tuple[tuple[str, ...], ...]:
        """For the generated reference: code, what it measures, posture, mark, source."""
        head = ("system", "code", "measures", "posture", "mark", "source")
        return (
            head,
            *(
                (
                    row.system,
                    row.code,
                    row.measured.value,
                    row.position.value,
                    row.source.mark.value,
                    row.source.citation,
                )
                for row in self.observations.values()
            ),
        )
