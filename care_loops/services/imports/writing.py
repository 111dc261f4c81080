"""One patient's evidence goes into the record: one transaction, one entry for each kind of evidence.

Rules
 * What was taken is there with its entry, or nothing of this patient is (N5). A run that breaks off leaves whole
   patients.
 * History is looked at by the danger rules as of `as_of`, the patient's latest record unless the caller says otherwise;
   in a replay each piece is looked at as of its own time, oldest first.
 * Danger rules run on pressures, on laboratory results inside the danger window, and on the person as known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Max

from audit import canonical
from audit.merkle import batch_root
from governance.services import Acting

from ...danger import pulse_beyond
from ...domain.readings import Method
from ...domain.record import DrugClass
from ...fhir_r4.reader import Index
from ...fhir_r4.resources import (
    FhirAllergy,
    FhirCondition,
    FhirLab,
    FhirMedication,
    FhirRate,
    FhirRefused,
    FhirTakenBack,
)
from ...models import Allergy, BloodPressure, Condition, Lab, Patient, RegimenEntry
from ...models.observations import Sourced
from ...pathways.hypertension.tables_danger import danger_table
from ...pathways.hypertension.tables_therapy import formulary
from ..again import look_again
from ..clinical import regimen_row
from ..danger import danger_of_lab, danger_of_state
from ..enrol import NewPatient, enrol_patient
from ..events import note
from ..refused_parts import RefusedArrival, RefusedLab, look_at_refused, look_at_refused_labs, name_of
from ..samples import Sample, take_in_samples
from .collect import Gathered, latest
from .counts import ImportCounts
from .ledger import Ledger
from .pressures import Pressures
from .rows import (
    Origin,
    allergy_rows,
    allergy_signature,
    condition_rows,
    condition_signature,
    lab_rows,
    lab_signature,
    regimen_lines,
    regimen_signature,
)

_RAS = frozenset({DrugClass.ACE_INHIBITOR, DrugClass.ARB, DrugClass.MRA, DrugClass.RENIN_INHIBITOR, DrugClass.ARNI})


@dataclass(frozen=True, slots=True)
class Import:
    """How an import reads time and place.

    `as_of`: when the danger rules look; `None`: as of each patient's latest record. `replay`: each piece as of its own
    time. `zone`: where the patients live; `None`: the offset of each time, and of the latest one for the patient.
    `synthetic`: `None` where each record says so itself.
    """

    source_system: str
    as_of: datetime | None = None
    replay: bool = False
    zone: ZoneInfo | None = None
    synthetic: bool | None = None


def write_patient(gathered: Gathered, known: Index, how: Import, *, by: Acting, now: datetime) -> ImportCounts:
    """Take one patient's evidence into the record and count it. `now` is used where nothing says when."""
    with transaction.atomic():
        counts = ImportCounts()
        moments = list(gathered.moments(known))
        on_record = Patient.objects.of_source(how.source_system, gathered.source_id).first()
        as_of = how.as_of or latest([*(m.at for m in moments), _latest_on_record(on_record)]) or now
        first = min((m.at for m in moments), default=as_of)
        if on_record is None:
            zone = how.zone.key if how.zone else max(moments).zone if moments else "UTC"
            patient = _enrol(gathered, zone, how, by=by, now=first if how.replay else as_of, as_of=as_of)
            counts.patients += 1
        else:
            patient = on_record
            counts.unchanged += 1 if gathered.who else 0
        writer = _Writer(patient, gathered, known, how, counts, by, as_of, min(first, as_of))
        writer.write()
        if on_record is not None and writer.wrote:
            look_again(patient.pk)
        return counts


def _latest_on_record(patient: Patient | None) -> datetime | None:
    if patient is None:
        return None
    pressure = BloodPressure.objects.filter(patient=patient).aggregate(last=Max("taken_at"))["last"]
    lab = Lab.objects.filter(patient=patient).aggregate(last=Max("taken_at"))["last"]
    return latest([pressure, lab])


def _enrol(gathered: Gathered, zone: str, how: Import, *, by: Acting, now: datetime, as_of: datetime) -> Patient:
    """Enrol the patient of the files. Somebody said to be dead without a date was dead by the latest record."""
    who = gathered.who
    if who is None:  # a bug: evidence of nobody was refused when it was collected
        raise ValueError(gathered.source_id)
    new = NewPatient(
        source_system=how.source_system,
        source_id=who.source_id,
        given_name=who.given_name,
        family_name=who.family_name,
        born_on=who.born_on,
        sex=who.sex,
        zone=zone,
        synthetic=who.synthetic if how.synthetic is None else how.synthetic,
    )
    patient = enrol_patient(new, by=by, now=now)
    if who.dead:
        died_at = who.died.at if who.died else as_of
        payload = {"died_at": died_at.isoformat(), "stated": who.died is not None}
        note("patient.corrected", of=("patient", patient.pk, 2), by=by, now=now, patient_id=patient.pk, payload=payload)
        Patient.objects.filter(pk=patient.pk).update(died_at=died_at)
    return patient


@dataclass(slots=True)
class _Writer:
    """The parts of one patient's import."""

    patient: Patient
    gathered: Gathered
    known: Index
    how: Import
    counts: ImportCounts
    by: Acting
    as_of: datetime
    first: datetime
    wrote: bool = False

    def write(self) -> None:
        """Who the patient is first, then what was measured, so that the rules know whom they look at."""
        origin = Origin(
            patient_id=self.patient.pk,
            source_system=self.how.source_system,
            received=None if self.how.replay else self.as_of,
            first=self.first,
        )
        conditions = self._conditions(origin)
        allergies = self._allergies(origin)
        lines = self._regimen()
        self._rates()
        labs = self._labs(origin)
        pressures = Pressures(self.patient, self.gathered, self.how.zone, self.counts, self.by)
        if self.how.replay:
            self._replay(conditions, lines, labs, pressures)
        else:
            if conditions or lines:
                self._look_at_person(self.as_of)
            for row in labs:
                self._look_at_lab(row, self.as_of)
            pressures.take_in(self.how.source_system, as_of=self.as_of)
        self._look_at_refused()
        self.wrote = bool(conditions or allergies or lines or labs or pressures.wrote)

    def _replay(
        self, conditions: list[Condition], lines: list[RegimenEntry], labs: list[Lab], pressures: Pressures
    ) -> None:
        """Every piece at its own time, oldest first."""
        steps: list[tuple[datetime, int, Any]] = [(row.taken_at, 1, row) for row in labs]
        arrivals = pressures.arrivals(self.how.source_system, as_of=self.as_of)
        steps += [(arrival.reading.taken_at, 2, arrival) for arrival in arrivals]
        if any(row.pregnancy for row in conditions):
            told = [row.received_at for row in conditions if row.pregnancy]
            told += [row.received_at for row in lines if row.drug_class in _RAS or not row.known]
            steps += [(at, 0, None) for at in sorted(set(told))]
        for at, _, what in sorted(steps, key=lambda step: step[:2]):
            if what is None:
                self._look_at_person(at)
            elif isinstance(what, Lab):
                self._look_at_lab(what, at)
            else:
                pressures.take_one(what, as_of=at)
        if conditions or lines:
            self._look_at_person(self.as_of)

    def _look_at_person(self, at: datetime) -> None:
        danger_of_state(self.patient, by=self.by, now=at)

    def _look_at_lab(self, row: Lab, at: datetime) -> None:
        window = timedelta(days=float(danger_table().windows.bar_days))
        if at - row.taken_at <= window:
            danger_of_lab(self.patient, row, by=self.by, now=at)

    def _conditions(self, origin: Origin) -> list[Condition]:
        ledger = Ledger()
        for row in Condition.objects.filter(patient=self.patient, source_system=origin.source_system):
            ledger.hold(row.source_id, condition_signature(row))
        rows = list(condition_rows(self.gathered.of(FhirCondition), self.known, origin, ledger))
        if rows:
            entry = self._entry("condition.recorded", "condition_batch", rows, condition_signature)
            Condition.objects.bulk_create(_with_entry(rows, entry))
        return rows

    def _allergies(self, origin: Origin) -> list[Allergy]:
        ledger = Ledger()
        for row in Allergy.objects.filter(patient=self.patient, source_system=origin.source_system):
            ledger.hold(row.source_id, allergy_signature(row))
        rows = list(allergy_rows(self.gathered.of(FhirAllergy), formulary(), origin, ledger))
        if rows:
            entry = self._entry("allergy.recorded", "allergy_batch", rows, allergy_signature)
            Allergy.objects.bulk_create(_with_entry(rows, entry))
        return rows

    def _labs(self, origin: Origin) -> list[Lab]:
        ledger = Ledger()
        for row in Lab.objects.filter(patient=self.patient, source_system=origin.source_system):
            ledger.hold(row.source_id, lab_signature(row))
        each = list(lab_rows(self.gathered.of(FhirLab), origin, ledger))
        rows = sorted((row for row in each if row is not None), key=lambda row: row.taken_at)
        self.counts.labs += len(rows)
        self.counts.unchanged += len(each) - len(rows)
        if rows:
            entry = self._entry("observation.imported", "lab_batch", rows, lab_signature)
            Lab.objects.bulk_create(_with_entry(rows, entry))
        return rows

    def _regimen(self) -> list[RegimenEntry]:
        system = self.how.source_system
        stored = list(RegimenEntry.objects.filter(patient=self.patient, source_system=system))
        ledger = Ledger()
        for row in stored:
            ledger.hold(row.source_id, regimen_signature(row))
        lines = regimen_lines(
            self.gathered.of(FhirMedication),
            self.known,
            formulary(),
            ledger,
            source_system=system,
            stored=stored,
            noticed=self.as_of,
            taken_back=[said.source_id for said in self.gathered.of(FhirTakenBack)],
        )
        fresh = [line for line in lines if line.new]
        self.counts.known += sum(line.recognised and line.entry.ingredient != "" for line in fresh)
        self.counts.unknown += sum(not line.recognised for line in fresh)
        self.counts.unchanged += len(lines) - len(fresh)
        rows = [
            regimen_row(self.patient.pk, line.entry, now=line.entry.starts_at if self.how.replay else self.as_of)
            for line in fresh
        ]
        if rows:
            entry = self._entry("regimen.imported", "regimen_batch", rows, regimen_signature)
            RegimenEntry.objects.bulk_create(_with_entry(rows, entry))
        return rows

    def _rates(self) -> None:
        """Heart rates; in a replay each that a rule may speak of as of its own time."""
        samples = [
            Sample(
                source_system=self.how.source_system,
                source_id=rate.source_id,
                kind="heart_rate",
                value=rate.value,
                unit="/min",
                starts_at=rate.taken.at,
                ends_at=rate.taken.at,
            )
            for rate in self.gathered.of(FhirRate)
        ]
        at_once = [one for one in samples if not (self.how.replay and pulse_beyond(one.value, danger_table()))]
        alone = [one for one in samples if self.how.replay and pulse_beyond(one.value, danger_table())]
        for at, some in [(self.as_of, at_once), *((one.ends_at, [one]) for one in alone)]:
            if some:
                take_in_samples(self.patient.pk, some, by=self.by, now=at, received_at=at)

    def _look_at_refused(self) -> None:
        """What could be read of what was refused or not taken; in a replay each as of its own time."""
        for piece in self.gathered.of(FhirRefused):
            at = min(piece.parts.taken_at or self.as_of, self.as_of) if self.how.replay else self.as_of
            said = name_of(piece.source_id, repr((piece.parts, piece.labs)).encode())
            one = RefusedArrival(
                source_system=self.how.source_system,
                source_id=said,
                parts=piece.parts,
                method=Method.CUFFLESS if piece.parts.besides else piece.method,
                setting=piece.setting,
            )
            if piece.parts.measured:
                [looked] = look_at_refused(self.patient.pk, [one], by=self.by, now=at, received_at=at, imported=True)
                self.counts.count_danger(looked)
            labs = [RefusedLab(self.how.source_system, f"{said}/{lab.kind}", lab) for lab in piece.labs]
            if labs:
                look_at_refused_labs(self.patient.pk, labs, by=self.by, now=at)

    def _entry(self, kind: str, batch: str, rows: Sequence[Sourced], signature: Any) -> UUID:
        """One entry for many rows: how many, and the Merkle root over what each says."""
        said = (
            canonical.dumps([str(row.pk), row.source_id, *map(str, signature(row))], profile=canonical.PAYLOAD)
            for row in rows
        )
        payload = {"count": len(rows), "root": batch_root(said).hex(), "kind": batch.removesuffix("_batch")}
        return note(
            kind, of=(batch, uuid4(), 1), by=self.by, now=self.as_of, patient_id=self.patient.pk, payload=payload
        ).entry_id


def _with_entry(rows: Iterable[Any], entry: UUID) -> list[Any]:
    done = []
    for row in rows:
        row.entry = entry
        done.append(row)
    return done
