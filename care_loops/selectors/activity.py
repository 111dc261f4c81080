"""Movement around readings, as alignment reads it: stored samples of steps and exercise as steps a minute at instants.

Rules
 * A sample over an interval is its rate at points along it, no further apart than `EVERY`, so that a reading in the
   middle of a long walk finds it. No sample is no point: a gap stays absent.
 * A heart rate of a wearable is a reading that has no pressure and was taken without a cuff; in effort, or within half
   an hour after it, it says so.
 * An interval without length tells no rate. Recorded exercise counts as effort whatever the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from ..alignment import ActivitySample, AlignmentRule, align
from ..domain.readings import Method, Reading, Setting
from ..domain.units import Bpm
from ..models import Patient, SensorSample
from ..pathways.hypertension.tables_readings import alignment_rule

EVERY = timedelta(minutes=5)
STEPS, EXERCISE, HEART_RATE = "steps", "exercise", "heart_rate"
LONGEST = timedelta(hours=12)


def activity_around(
    patient_id: UUID, *, first: datetime, last: datetime, rule: AlignmentRule
) -> tuple[ActivitySample, ...]:
    """Movement that could disturb readings taken from `first` to `last`."""
    rows = SensorSample.objects.filter(
        patient_id=patient_id, kind__in=(STEPS, EXERCISE), starts_at__lte=last, ends_at__gte=first - rule.rest_after
    )
    return tuple(point for row in rows for point in _points(row, rule))


def _points(row: SensorSample, rule: AlignmentRule) -> Iterator[ActivitySample]:
    length = row.ends_at - row.starts_at
    if length <= timedelta(0) or length > LONGEST:
        return
    minutes = Decimal(int(length.total_seconds())) / 60
    rate = rule.effort if row.kind == EXERCISE else row.value / minutes
    at = row.starts_at
    while at < row.ends_at:
        yield ActivitySample(at, rate)
        at += EVERY
    yield ActivitySample(row.ends_at, rate)


def rates_at_rest(patient: Patient, samples: Sequence[SensorSample]) -> list[Reading]:
    """Heart rates as danger rules read them, those of effort marked as such."""
    return with_effort(patient, [_rate(row, patient.zone) for row in samples])


def with_effort(patient: Patient, readings: Sequence[Reading]) -> list[Reading]:
    """The readings in the order of time, those of effort or soon after it marked as such."""
    rule, times = alignment_rule(), [one.taken_at for one in readings]
    moved = activity_around(patient.pk, first=min(times), last=max(times), rule=rule) if times else ()
    return [one.reading for one in align(readings, moved, (), rule=rule)]


def pulse_of(reading: Reading) -> Decimal:
    """The heart rate of a reading that has one."""
    if reading.pulse is None:
        raise ValueError(f"{reading.reading_id} has no heart rate")
    return reading.pulse.value


def _rate(row: SensorSample, zone: str) -> Reading:
    return Reading(
        reading_id=str(row.pk),
        taken_at=row.ends_at,
        zone=zone,
        systolic=None,
        diastolic=None,
        pulse=Bpm(row.value),
        method=Method.CUFFLESS,
        setting=Setting.UNKNOWN,
        device_validated=False,
    )
