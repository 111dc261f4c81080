"""All that the files say, gathered by patient; what cannot be taken is set aside by name.

Rules
 * Files are read twice: first for whom and what others refer to, then for the evidence, so that order never matters.
 * Evidence of a patient who is neither in the files nor in the record is refused (`unknown_patient`).
 * What can be read of an Observation that is refused, and a value that was not taken of one that was, goes beside the
   evidence for danger rules alone (N4).
 * A component that could not be read while the other one could: the reading is taken, its resource is kept to be looked
   at, and it is counted once, as a reading.
 * A resource of medicines that is refused or says nothing may have said before that none are taken: that it came is
   kept beside the evidence, so that the word does not outlast it (N2).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ...fhir_r4.documents import Found, Item, Unreadable, dump
from ...fhir_r4.observations import with_members
from ...fhir_r4.parts import parts_beside, refused_parts
from ...fhir_r4.people import patient as read_patient
from ...fhir_r4.reader import EVIDENCE, OF_MEDICINES, Index, evidence, index, source_id
from ...fhir_r4.resources import (
    Evidence,
    FhirAllergy,
    FhirCondition,
    FhirLab,
    FhirMedication,
    FhirPatient,
    FhirPressure,
    FhirRate,
    FhirRefused,
    FhirTakenBack,
)
from ...fhir_r4.values import Context, Refused, When, reference
from ...models import Patient

Read = Callable[[], Iterable[Item]]
T = TypeVar("T", bound=Evidence)


@dataclass(frozen=True, slots=True)
class SetAside:
    """What was not taken (or not wholly): where it stood, why, and its bytes."""

    where: str
    source_id: str
    resource_type: str
    reason: str
    detail: str
    body: bytes


@dataclass(slots=True)
class Gathered:
    """What the files say of one patient. `who` is `None` for a patient the record already holds."""

    source_id: str
    who: FhirPatient | None
    pieces: list[Evidence] = field(default_factory=list)

    def of(self, kind: type[T]) -> list[T]:
        """The evidence of one kind, in the order it was read."""
        return [piece for piece in self.pieces if isinstance(piece, kind)]

    def pressures(self) -> list[FhirPressure]:
        """Blood pressures, panels with their members."""
        return with_members(self.of(FhirPressure))

    def moments(self, known: Index) -> Iterator[When]:
        """Every time something was measured, ordered or noted."""
        for piece in self.pieces:
            if (at := moment_of(piece, known)) is not None:
                yield at


def moment_of(piece: Evidence, known: Index) -> When | None:
    """When a piece of evidence is from."""
    match piece:
        case FhirPressure() | FhirRate() | FhirLab():
            return piece.taken
        case FhirMedication():
            return piece.at
        case FhirAllergy():
            return piece.recorded
        case FhirCondition():
            begun = known.started(piece.encounter)
            return piece.recorded or piece.onset or (When(begun) if begun else None)
        case FhirRefused() | FhirTakenBack():
            return None  # what was refused dates nothing


@dataclass(slots=True)
class Collected:
    """All patients of the files, what they refer to, and what was set aside (`refused` are the names that count)."""

    known: Index
    patients: dict[str, Gathered] = field(default_factory=dict)
    aside: list[SetAside] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    items: int = 0
    input_sha256: str = ""

    def kinds(self) -> dict[str, int]:
        """How many pieces of each kind of evidence were mapped."""
        counted = Counter(type(piece).__name__ for each in self.patients.values() for piece in each.pieces)
        counted.pop(FhirTakenBack.__name__, None)  # mapped from nothing
        return dict(sorted(counted.items()))


def collect(read: Read, context: Context, *, source_system: str) -> Collected:
    """Read the files; write nothing."""
    found = Collected(known=index(read(), context))
    found.patients = {key: Gathered(key, who) for key, who in found.known.patients.items()}
    on_record: dict[str, str | None] = {}
    digest = hashlib.sha256()
    for item in read():
        found.items += 1
        digest.update(item.body if isinstance(item, Unreadable) else dump(item.resource))
        if isinstance(item, Unreadable):
            _set_aside(found, SetAside(item.where, "", "", item.reason, item.detail, item.body))
        elif item.resource["resourceType"] == "Patient":
            _compare_patient(found, item, context)
        elif item.resource["resourceType"] in EVIDENCE:
            _take(found, item, context, on_record, source_system)
    found.input_sha256 = digest.hexdigest()
    return found


def _take(
    found: Collected, item: Found, context: Context, on_record: dict[str, str | None], source_system: str
) -> None:
    try:
        piece = evidence(item, context)
        if piece is None:
            _take_back(found, item, on_record, source_system)
            return
        owner = _owner(found, piece.patient, on_record, source_system)
        if owner is None:
            raise Refused("unknown_patient" if piece.patient else "no_patient", piece.patient)
    except Refused as refusal:
        _set_aside(found, _whole(item, refusal.reason, refusal.detail))
        parts = refused_parts(item.resource, source_id(item), context)
        owner = _owner(found, parts.patient, on_record, source_system) if parts else None
        if parts and owner:
            found.patients.setdefault(owner, Gathered(owner, None)).pieces.append(parts)
        _take_back(found, item, on_record, source_system)
        return
    pieces = found.patients.setdefault(owner, Gathered(owner, None)).pieces
    pieces.append(piece)
    if isinstance(piece, FhirPressure):
        if piece.unreadable:
            found.aside.append(_whole(item, piece.unreadable, "one component; the other one was taken"))
        if beside := parts_beside(item.resource, piece, context):
            pieces.append(beside)


def _take_back(found: Collected, item: Found, on_record: dict[str, str | None], source_system: str) -> None:
    """Note that a resource of medicines came and says nothing."""
    written = reference(item.resource, "subject")
    if item.resource["resourceType"] not in OF_MEDICINES or not written:
        return
    if owner := _owner(found, written, on_record, source_system):
        said = FhirTakenBack(source_id(item), written)
        found.patients.setdefault(owner, Gathered(owner, None)).pieces.append(said)


def _owner(found: Collected, written: str, on_record: dict[str, str | None], source_system: str) -> str | None:
    """Source id of the patient a reference means: among the files, or on record from this source."""
    return found.known.patient_of(written) or _on_record(written, on_record, source_system)


def _on_record(written: str, seen: dict[str, str | None], source_system: str) -> str | None:
    """The source id of a patient who came with an earlier import from this source."""
    if written not in seen:
        last = written.rstrip("/").removeprefix("urn:uuid:").rsplit("/", 1)[-1][:200].replace("\x00", "")
        known = Patient.objects.of_source(source_system, last)
        seen[written] = last if known.exists() else None
    return seen[written]


def _compare_patient(found: Collected, item: Found, context: Context) -> None:
    """A second Patient of the same id that says otherwise is set aside: the first one stands."""
    who = read_patient(item.resource, source_id(item).removeprefix("Patient/"), (), context)
    first = found.known.patients[who.source_id]
    if _said(who) != _said(first):
        _set_aside(found, _whole(item, "conflicting_patient", ""))


def _said(who: FhirPatient) -> tuple[object, ...]:
    return (who.given_name, who.family_name, who.born_on, who.sex, who.dead, who.died)


def _whole(item: Found, reason: str, detail: str) -> SetAside:
    kind = str(item.resource["resourceType"])[:60]
    return SetAside(item.where, source_id(item), kind, reason, detail, dump(item.resource))


def _set_aside(found: Collected, what: SetAside) -> None:
    found.aside.append(what)
    found.refused[what.reason] += 1


def latest(moments: Iterable[datetime | None]) -> datetime | None:
    """The last of some moments, those that are missing left out."""
    return max((each for each in moments if each is not None), default=None)
