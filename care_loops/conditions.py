"""Coded conditions: what a SNOMED CT or ICD code tells the rules of CLINICAL 1.3 and 1.7.

Rules
 * A code is recognised by its system and its digits; ICD codes by their beginning. A name is never read.
 * One code may tell several things (diabetic kidney disease: diabetes and kidney disease).
 * A code on no row tells nothing. Whether a telling is still true (resolved, how long ago) is for the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .domain.provenance import Source
from .domain.record import ConditionKind, Pregnancy


class CodeSystem(StrEnum):
    """Where a code comes from."""

    SNOMED = "snomed"
    ICD10 = "icd10"
    ICD9 = "icd9"


SYSTEMS: dict[str, CodeSystem] = {
    "http://snomed.info/sct": CodeSystem.SNOMED,
    "http://hl7.org/fhir/sid/icd-10": CodeSystem.ICD10,
    "http://hl7.org/fhir/sid/icd-10-cm": CodeSystem.ICD10,
    "http://hl7.org/fhir/sid/icd-9-cm": CodeSystem.ICD9,
    "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd10": CodeSystem.ICD10,
    "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd9": CodeSystem.ICD9,
}


@dataclass(frozen=True, slots=True)
class CodedCondition:
    """One row: a code, or the beginning of codes, and the one thing it tells."""

    system: CodeSystem
    code: str
    prefix: bool
    condition: ConditionKind | None
    pregnancy: Pregnancy | None
    source: Source

    def __post_init__(self) -> None:
        if (self.condition is None) == (self.pregnancy is None):
            raise ValueError(f"{self.code}: a row tells of one condition or of pregnancy")

    def matches(self, system: CodeSystem, code: str) -> bool:
        """Whether this row speaks of the code, which is written without its dot."""
        return self.system is system and (code.startswith(self.code) if self.prefix else code == self.code)


@dataclass(frozen=True, slots=True)
class Told:
    """What a code tells: conditions, and perhaps pregnancy or its end."""

    conditions: tuple[ConditionKind, ...]
    pregnancy: Pregnancy | None


def recognise(system_uri: str, code: str, rows: tuple[CodedCondition, ...]) -> Told | None:
    """What a code of a system (by its URI) tells, or `None` when it is on no row."""
    system = SYSTEMS.get(system_uri)
    if system is None:
        return None
    hits = [row for row in rows if row.matches(system, code.replace(".", "").upper())]
    if not hits:
        return None
    conditions = tuple(dict.fromkeys(row.condition for row in hits if row.condition is not None))
    return Told(conditions=conditions, pregnancy=next((row.pregnancy for row in hits if row.pregnancy), None))
