"""A vendor's file becomes readings of one patient: the same way inward as a batch, without a device of ours behind it.

Rules
 * How the pressures were taken is stated with the file or unknown; unknown never titrates (PRODUCT N2, CLINICAL 0.2).
 * The same file twice changes nothing: a reading is known by its own identifier, else by what it says.
 * A row that cannot be read is refused by name and kept, and what can be read of it is looked at for danger (N4); the
   others are taken in.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from care_loops.domain.readings import Method, Reading, Setting
from care_loops.models import Patient
from care_loops.services.refused_parts import RefusedArrival, look_at_refused, name_of
from care_loops.services.samples import Sample, take_in_samples, wants_raw_data
from care_loops.services.take_in import Arrival, take_in
from governance.domain import NotFound
from governance.services import Acting

from ..domain import SAMPLE_UNITS, Bad, Item, Measured, Outcome, Sampled
from ..formats import read_file
from ..models import RefusedReading
from ..policies import method_of
from .exertion import tag_exertion
from .refusing import keep_readings

CHUNK = 500


@dataclass(frozen=True, slots=True)
class VendorFile:
    """A file and what is stated about how it was measured. `zone` is used where a reading does not carry its own."""

    content: bytes
    format: str
    zone: str | None = None
    method: Method = Method.UNKNOWN
    validated: bool = False
    setting: Setting = Setting.UNKNOWN


@dataclass(frozen=True, slots=True)
class FileTaken:
    """What became of a file: readings by outcome, new samples, refusals by code, alerts raised or touched."""

    readings: dict[str, int]
    samples: int
    refused: dict[str, int]
    alerts: int


def ingest_file(file: VendorFile, *, patient_id: UUID, by: Acting, now: datetime) -> FileTaken:
    """Take in a file. Raises `Unreadable` for the file as a whole and `NotFound` for the patient."""
    if not Patient.objects.filter(pk=patient_id).exists():
        raise NotFound("There is no such record.")
    items = read_file(file.format, file.content, zone=file.zone)
    counts = Counter(dict.fromkeys(("stored", "duplicate", "conflict", "quarantined", "rejected"), 0))
    alerts: set[UUID] = set()
    with transaction.atomic():
        samples = [_sample(item, file, patient_id) for item in items if isinstance(item, Sampled)]
        new = take_in_samples(patient_id, samples, by=by, now=now, received_at=now) if samples else 0
        arrivals = [_arrival(item, file, patient_id) for item in items if isinstance(item, Measured)]
        for chunk in _chunks(tag_exertion(patient_id, arrivals)):
            done = take_in(patient_id, chunk, by=by, now=now, received_at=now)
            counts.update(result.outcome.value for result in done.results)
            alerts |= set(done.alerts)
        refused = [item for item in items if isinstance(item, Bad)]
        raw = wants_raw_data(patient_id, now=now)
        _keep([item for item in refused if raw or not item.parts.besides], patient_id=patient_id, by=by, now=now)
        parts = _parts(items, file, patient_id)
        for looked in look_at_refused(patient_id, parts, by=by, now=now, received_at=now) if parts else ():
            alerts |= set(looked.alerts)
    counts["rejected"] = len(refused)
    return FileTaken(dict(counts), new, dict(Counter(item.code for item in refused)), len(alerts))


def _chunks(arrivals: Sequence[Arrival]) -> Iterable[list[Arrival]]:
    """Chunks in which no identifier stands twice, so that each is told for what it is."""
    chunk: list[Arrival] = []
    held: set[str] = set()
    for arrival in arrivals:
        if len(chunk) == CHUNK or arrival.source_id in held:
            yield chunk
            chunk, held = [], set()
        chunk.append(arrival)
        held.add(arrival.source_id)
    if chunk:
        yield chunk


def _arrival(item: Measured, file: VendorFile, patient_id: UUID) -> Arrival:
    method, validated = method_of(file.method, device_validated=file.validated, said=item.method)
    said = (item.taken_at.timestamp(), item.systolic, item.diastolic, item.pulse)
    source_id = f"{patient_id}:{item.source_id or _digest(said)}"
    reading = Reading(
        reading_id=source_id,
        taken_at=item.taken_at,
        zone=item.zone,
        systolic=item.systolic,
        diastolic=item.diastolic,
        pulse=item.pulse,
        method=method,
        setting=item.setting or file.setting,
        device_validated=validated,
        status=item.status,
        position=item.position,
        flags=item.flags,
        session=item.session,
    )
    return Arrival(f"file:{file.format}", source_id, reading, absent_reason=item.absent_reason)


def _sample(item: Sampled, file: VendorFile, patient_id: UUID) -> Sample:
    said = (item.kind, item.starts_at.timestamp(), item.ends_at.timestamp(), item.value)
    return Sample(
        source_system=f"file:{file.format}",
        source_id=f"{patient_id}:{item.source_id or _digest(said)}",
        kind=item.kind.value,
        value=item.value,
        unit=SAMPLE_UNITS[item.kind],
        starts_at=item.starts_at,
        ends_at=item.ends_at,
    )


def _parts(items: Sequence[Item], file: VendorFile, patient_id: UUID) -> list[RefusedArrival]:
    """What could be read of what was refused, and what came beside a reading, to be looked at for danger."""
    said = [(item.text, item.parts) for item in items if isinstance(item, Bad)]
    said += [(item.source_id, item.beside) for item in items if isinstance(item, Measured)]
    found = []
    for text, parts in said:
        method, validated = method_of(file.method, device_validated=file.validated, said=parts.method)
        name = name_of(f"{patient_id}:refused", f"{text}|{parts!r}".encode())
        one = RefusedArrival(
            source_system=f"file:{file.format}",
            source_id=name,
            parts=parts,
            method=Method.CUFFLESS if parts.besides else method,
            setting=file.setting,
            device_validated=validated and not parts.besides,
            zone=file.zone or "",
        )
        found += [one] if parts.measured else []
    return list({one.source_id: one for one in found}.values())


def _keep(refused: Sequence[Item], *, patient_id: UUID, by: Acting, now: datetime) -> None:
    """Keep what was refused, each body once for each patient."""
    rows: dict[str, RefusedReading] = {}
    for item in refused:
        if not isinstance(item, Bad):
            continue
        body = item.text.encode("utf-8", "backslashreplace")
        digest = hashlib.sha256(body + item.code.encode()).hexdigest()
        rows[digest] = RefusedReading(
            patient_id=patient_id,
            outcome=Outcome.REJECTED.value,
            code=item.code[:40],
            detail=item.detail[:300],
            body=body,
            body_size=len(body),
            body_sha256=digest,
            received_at=now,
        )
    known = RefusedReading.objects.filter(patient_id=patient_id, body_sha256__in=rows)
    for digest in known.values_list("body_sha256", flat=True):
        rows.pop(digest, None)
    keep_readings(rows.values(), by=by, batch_id=uuid4(), now=now)


def _digest(said: object) -> str:
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]
