"""Movement around readings, as alignment reads it: stored samples of steps and exercise as steps a minute at instants.

Rules
 * A sample over an interval is its rate at points along it, no further apart than `EVERY`, so that a reading in the
   middle of a long walk finds it. No sample is no point: a gap stays absent.
 * An interval without length tells no rate. Recorded exercise counts as effort whatever the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from ..alignment import ActivitySample, AlignmentRule
from ..models import SensorSample

EVERY = timedelta(minutes=5)
STEPS, EXERCISE = "steps", "exercise"
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
