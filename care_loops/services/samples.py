"""Context from wearables comes into the record: heart rate, steps, activity (HTN-02). It never enters an average.

Rules
 * Danger rules run on the heart rates among it as it is stored (CLINICAL 1.3 C12).
 * A sample that is known already changes nothing. Another heart rate under a known name, or one of another person, is
   no sample: it is looked at for danger, and held back where it is dangerous.
 * Of a person who withdrew nothing is stored; a dangerous heart rate still raises its alert, without its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Purpose
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..danger import pulse_beyond
from ..domain.parts import PartsRead
from ..domain.readings import Implausible, Method
from ..domain.units import Bpm
from ..models import Patient, SensorSample
from ..selectors.activity import HEART_RATE
from ..selectors.danger import danger_table_of
from ..selectors.record import raw_data_wanted
from .again import look_again
from .danger import danger_of_rates
from .events import note
from .refused_parts import RefusedArrival, look_at_refused, name_of
from .whose import locked_record

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """Context from a wearable over [starts_at, ends_at]."""

    source_system: str
    source_id: str
    kind: str
    value: Decimal
    unit: str
    starts_at: datetime
    ends_at: datetime
    device: str = ""


def wants_raw_data(patient_id: UUID, *, now: datetime) -> bool:
    """Whether what devices measure besides blood pressure may be stored of this person."""
    return raw_data_wanted(Patient.objects.get(pk=patient_id), now=now)


def take_in_samples(
    patient_id: UUID, samples: Sequence[Sample], *, by: Acting, now: datetime, received_at: datetime
) -> int:
    """Store wearable samples and run the danger rules on heart rates among them. Returns how many are new."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        if not raw_data_wanted(patient, now=now):
            _look(patient, samples, why=Implausible.PARTLY_READ, by=by, now=now, received_at=received_at)
            return 0
        fresh, others = _sorted(patient, samples)
        rows = _stored(patient, fresh, by=by, now=now, received_at=received_at) if fresh else []
        seen = danger_of_rates(patient, rows, by=by, now=now, received_at=received_at)
        _look(patient, others, why=Implausible.EQUIVOCAL, by=by, now=now, received_at=received_at)
        if seen.alerts:
            look_again(patient.pk)
        return len(fresh)


@looking_wider(Wider.SOURCES)
def _known(samples: Sequence[Sample]) -> dict[Key, object]:
    """By its name at the source, of whom and what each one says that came before."""
    stored = SensorSample.objects.filter(
        source_system__in={s.source_system for s in samples}, source_id__in={s.source_id for s in samples}
    )
    return {(row.source_system, row.source_id): (row.patient_id, *_says(row)) for row in stored}


def _sorted(patient: Patient, samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The new ones, the first of each name; and those that say something else than what came under their name."""
    known = _known(samples)
    fresh, others = [], []
    for sample in samples:
        key = (sample.source_system, sample.source_id)
        said = (patient.pk, *_says(sample))
        if key not in known:
            fresh.append(sample)
        elif known[key] != said:
            others.append(sample)
        known.setdefault(key, said)
    return fresh, others


def _says(one: Sample | SensorSample) -> tuple[str, Decimal, datetime, datetime]:
    return one.kind, one.value, one.starts_at, one.ends_at


def _stored(
    patient: Patient, fresh: Sequence[Sample], *, by: Acting, now: datetime, received_at: datetime
) -> list[SensorSample]:
    entry = note(
        "observation.recorded",
        of=("sample_batch", uuid4(), 1),
        by=by,
        now=now,
        patient_id=patient.pk,
        payload={"count": len(fresh), "kinds": sorted({s.kind for s in fresh})},
        purpose=Purpose.TREATMENT,
    )
    rows = [
        SensorSample(
            patient=patient,
            source_system=s.source_system,
            source_id=s.source_id,
            received_at=received_at,
            kind=s.kind,
            value=s.value,
            unit=s.unit,
            starts_at=s.starts_at,
            ends_at=s.ends_at,
            device=s.device,
            entry=entry.entry_id,
        )
        for s in fresh
    ]
    return SensorSample.objects.bulk_create(rows)


def _look(
    patient: Patient,
    samples: Sequence[Sample],
    *,
    why: Implausible,
    by: Acting,
    now: datetime,
    received_at: datetime,
) -> None:
    """Look at heart rates that are not stored: of many the slowest and the fastest."""
    table = danger_table_of(patient, now=now) if samples else None
    beyond = [s for s in samples if s.kind == HEART_RATE and table is not None and pulse_beyond(s.value, table)]
    ordered = sorted(beyond, key=lambda s: (s.value, s.ends_at))
    asked = {id(s): s for s in (ordered[0], ordered[-1])}.values() if ordered else ()
    refused = [refused_sample(s, why=why) for s in asked]
    if refused:
        look_at_refused(patient.pk, refused, by=by, now=now, received_at=received_at)


def refused_sample(sample: Sample, *, why: Implausible, time_is_known: bool = True) -> RefusedArrival:
    """A heart rate that is not stored as a sample, as what is looked at for danger."""
    said = f"{sample.value.normalize()}|{sample.starts_at.isoformat()}|{sample.ends_at.isoformat()}"
    pulse = (Bpm(sample.value),) if sample.kind == HEART_RATE else ()
    return RefusedArrival(
        source_system=sample.source_system,
        source_id=name_of(sample.source_id, said.encode()),
        parts=PartsRead(pulse=pulse, taken_at=sample.ends_at if time_is_known else None, besides=True),
        method=Method.CUFFLESS,
        device=sample.device,
        why=why,
    )
