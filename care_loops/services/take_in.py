"""Readings come into the record: stored, plausibility named, danger rules run, one entry, one transaction (N4, N5, N9).

Rules
 * Danger rules run before plausibility drops anything, per component, on every reading that arrived (CLINICAL 1.3).
 * What arrives twice with the same content is a duplicate and changes nothing. Other content under a known source id,
   or the same for another person, is kept beside it, quarantined as equivocal, and runs the danger rules too.
 * A known source id that comes again as entered in error takes back what came under it, by a correction (FHIR R4
   Observation.status). What is entered in error itself is kept as such; no rule, average or count of care reads it.
 * A time from a clock that was reset is uncertain: held back, flagged, and looked at as received now.
 * One entry for each batch carries the count of its readings and the Merkle root over their bytes (SECURITY 3.3).
 * Nothing here asks a model, a broker or another process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from audit.merkle import batch_root
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..domain.alerts import AlertKind
from ..domain.clocks import CLOCK_TOLERANCE, was_reset
from ..domain.readings import Flag, Implausible, Reading, Status
from ..models import BloodPressure, Patient
from ..pathways.hypertension.tables_readings import plausibility_limits
from ..plausibility import check as implausible
from ..selectors.batches import canonical_row, content
from ..selectors.record import record_ids
from .again import look_again
from .danger import danger_of_readings
from .events import note
from .retractions import take_back
from .whose import locked_record


class ArrivalOutcome(StrEnum):
    """What became of one reading that arrived."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A reading as it arrived: where from, under which identifier there, and why a component is absent."""

    source_system: str
    source_id: str
    reading: Reading
    absent_reason: str = ""


@dataclass(frozen=True, slots=True)
class BatchProof:
    """What a device signed: which device, which range of its sequence, the digest of the body, the key."""

    device_id: str
    boot_id: str
    first_seq: int
    last_seq: int
    body_sha256: str
    signature_key_id: str


@dataclass(frozen=True, slots=True)
class ArrivalResult:
    """What became of one arrival. `reading_id` is the stored row; `code` names a quarantine."""

    source_id: str
    outcome: ArrivalOutcome
    reading_id: UUID | None
    code: str = ""
    danger: tuple[AlertKind, ...] = ()
    historic: tuple[AlertKind, ...] = ()


def stored_as(result: ArrivalResult) -> UUID:
    """The row in which an arrival is kept; every arrival that passed the door has one."""
    if result.reading_id is None:
        raise ValueError(f"{result.source_id}: nothing was kept")
    return result.reading_id


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of a batch, in the order it arrived."""

    results: tuple[ArrivalResult, ...]
    alerts: tuple[UUID, ...]
    entry_id: UUID | None
    leaf_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Fresh:
    place: int
    arrival: Arrival
    row: BloodPressure
    outcome: ArrivalOutcome
    retracts: str = ""  # the source id whose readings it takes back


def take_in(
    patient_id: UUID,
    arrivals: Sequence[Arrival],
    *,
    by: Acting,
    now: datetime,
    received_at: datetime,
    batch: BatchProof | None = None,
    imported: bool = False,
) -> TakenIn:
    """Store readings of one patient. `imported`: history from another system, in which no time is a future.

    `received_at` is when they reached us; `now` is when the danger rules look at them (in a replay, the reading's own
    time). Returns one result for each arrival.
    """
    with transaction.atomic():
        patient = locked_record(patient_id)
        known = _known(patient, arrivals)
        fresh, results = _sort(patient, arrivals, known, now=now, received_at=received_at, imported=imported)
        entry_id, leaf = None, None
        if fresh:
            entry_id, leaf = _write(patient, fresh, by=by, now=now, batch=batch, imported=imported)
            for item in fresh:
                if item.retracts:
                    take_back(item.row, of_source=item.retracts, people=record_ids(patient), by=by, now=now)
        rows = [item.row for item in fresh]
        alerts: list[UUID] = []
        for item, seen in zip(
            fresh, danger_of_readings(patient, rows, by=by, now=now, received_at=received_at), strict=True
        ):
            alerts += seen.alerts
            results[item.place] = _result(item, seen.kinds, seen.historic)
        if fresh and not imported:
            look_again(patient.pk)
    return TakenIn(
        results=tuple(results[place] for place in range(len(arrivals))),
        alerts=tuple(dict.fromkeys(alerts)),
        entry_id=entry_id,
        leaf_hash=leaf,
    )


@looking_wider(Wider.SOURCES)
def _known(patient: Patient, arrivals: Iterable[Arrival]) -> dict[tuple[str, str], BloodPressure]:
    by_system: dict[str, list[str]] = {}
    for a in arrivals:
        by_system.setdefault(a.source_system, []).extend([a.source_id, _other_id(patient, a)])
    found: dict[tuple[str, str], BloodPressure] = {}
    for system, ids in by_system.items():
        rows = BloodPressure.objects.filter(source_system=system, source_id__in=ids)
        found |= {(row.source_system, row.source_id): row for row in rows}
    return found


def _sort(
    patient: Patient,
    arrivals: Sequence[Arrival],
    known: dict[tuple[str, str], BloodPressure],
    *,
    now: datetime,
    received_at: datetime,
    imported: bool,
) -> tuple[list[_Fresh], dict[int, ArrivalResult]]:
    """Tell the new from the known. What is known already changes nothing; results are by place in the batch."""
    people = set(record_ids(patient))
    fresh: list[_Fresh] = []
    results: dict[int, ArrivalResult] = {}
    for place, arrival in enumerate(arrivals):
        before = known.get((arrival.source_system, arrival.source_id))
        row = _row(patient, arrival, now=now, received_at=received_at, imported=imported)
        outcome = ArrivalOutcome.QUARANTINED if row.quarantined else ArrivalOutcome.STORED
        if before is not None:
            other = _other_id(patient, arrival)
            again = known.get((arrival.source_system, other))
            if before.patient_id in people and content(before) == content(row):
                again = before
            if again is not None:
                results[place] = ArrivalResult(arrival.source_id, ArrivalOutcome.DUPLICATE, again.pk)
                continue
            if arrival.reading.status is Status.ENTERED_IN_ERROR and before.patient_id in people:
                fresh.append(_Fresh(place, arrival, row, outcome, retracts=row.source_id))
                row.source_id = other
                known[(arrival.source_system, other)] = row
                continue
            row.source_id, row.quarantined = other, Implausible.EQUIVOCAL.value
            outcome = ArrivalOutcome.CONFLICT
        known[(arrival.source_system, row.source_id)] = row
        fresh.append(_Fresh(place, arrival, row, outcome))
    return fresh, results


def _row(patient: Patient, arrival: Arrival, *, now: datetime, received_at: datetime, imported: bool) -> BloodPressure:
    reading = arrival.reading
    limits = plausibility_limits(reading.setting.value if reading.setting.value == "office" else "home")
    held = reading.quarantined or implausible(
        replace(reading, quarantined=None), limits, now=None if imported else now + CLOCK_TOLERANCE
    )
    flags = reading.flags
    if not imported and was_reset(reading.taken_at, received_at=received_at):
        held, flags = held or Implausible.FUTURE, tuple(dict.fromkeys((*flags, Flag.CLOCK_UNCERTAIN)))
    return BloodPressure(
        id=uuid4(),
        patient=patient,
        source_system=arrival.source_system,
        source_id=arrival.source_id,
        received_at=received_at,
        taken_at=reading.taken_at,
        zone=reading.zone,
        systolic=reading.systolic.value if reading.systolic else None,
        diastolic=reading.diastolic.value if reading.diastolic else None,
        pulse=reading.pulse.value if reading.pulse else None,
        absent_reason=arrival.absent_reason or _absent(reading),
        method=reading.method.value,
        setting=reading.setting.value,
        position=reading.position.value,
        status=reading.status.value,
        device_validated=reading.device_validated,
        device=reading.device_id or "",
        session=reading.session or "",
        flags=[flag.value for flag in flags],
        quarantined=held.value if held else "",
    )


def _absent(reading: Reading) -> str:
    return "" if reading.systolic and reading.diastolic else "not_stated"


def _write(
    patient: Patient, fresh: list[_Fresh], *, by: Acting, now: datetime, batch: BatchProof | None, imported: bool
) -> tuple[UUID, bytes]:
    """The entry of the batch and its rows."""
    batch_id = uuid4()
    for index, item in enumerate(fresh):
        item.row.batch, item.row.batch_index = batch_id, index
    payload: dict[str, Any] = {
        "count": len(fresh),
        "root": batch_root(canonical_row(item.row) for item in fresh).hex(),
        "kind": "blood_pressure",
        "first": str(fresh[0].row.pk),
    }
    if batch is not None:
        payload["batch"] = {
            "device": batch.device_id,
            "boot": batch.boot_id,
            "first_seq": batch.first_seq,
            "last_seq": batch.last_seq,
            "body_sha256": batch.body_sha256,
            "key": batch.signature_key_id,
        }
    entry = note(
        "observation.imported" if imported else "observation.batch_accepted",
        of=("observation_batch", batch_id, 1),
        by=by,
        now=now,
        patient_id=patient.pk,
        payload=payload,
    )
    for item in fresh:
        item.row.entry = entry.entry_id
    BloodPressure.objects.bulk_create([item.row for item in fresh])
    return entry.entry_id, entry.leaf_hash


def _result(item: _Fresh, kinds: tuple[AlertKind, ...], historic: tuple[AlertKind, ...]) -> ArrivalResult:
    return ArrivalResult(
        source_id=item.arrival.source_id,
        outcome=item.outcome,
        reading_id=item.row.pk,
        code=item.row.quarantined,
        danger=kinds,
        historic=historic,
    )


def _other_id(patient: Patient, arrival: Arrival) -> str:
    """Where other content, or another person's reading, under a known source id is kept."""
    reading = arrival.reading
    taken = reading.taken_at.isoformat()
    said = f"{patient.pk}|{taken}|{reading.systolic}|{reading.diastolic}|{reading.pulse}|{reading.status}"
    return f"{arrival.source_id[:180]}#{hashlib.sha256(said.encode()).hexdigest()[:8]}"
