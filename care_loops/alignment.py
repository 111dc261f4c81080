"""Readings, activity and intake on one clock (HTN-02).

Rules
 * A device's clock is corrected by the skew measured for it; nothing else is moved.
 * A reading is joined to the activity nearest in time within the tolerance. A gap stays absent: it is not zero, not the
   value before, and nothing is interpolated.
 * A reading taken during effort, or within half an hour after it (CLINICAL 1.1 A11), is tagged exertion
   (`Flag.POST_EXERCISE`): it enters no average and suggests no dose. Danger rules still run on it.
 * The intake joined is the last one before the reading.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from .domain.provenance import Cited
from .domain.readings import Flag, Reading


@dataclass(frozen=True, slots=True)
class ActivitySample:
    """Movement at an instant, in steps a minute; `None` where the device was not worn."""

    at: datetime
    steps_per_minute: Decimal | None


@dataclass(frozen=True, slots=True)
class IntakeAt:
    """A dose taken: which drug (RxNorm IN), when."""

    ingredient: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AlignmentRule:
    """`tolerance`: how far activity may lie from a reading. `effort`: steps a minute from which it is effort.
    `rest_after`: how long after effort a reading is still disturbed."""

    version: str
    tolerance: timedelta
    effort: Decimal
    rest_after: timedelta
    rows: tuple[Cited, ...] = ()


@dataclass(frozen=True, slots=True)
class Aligned:
    """One reading with what surrounds it. Absent stays `None`."""

    reading: Reading
    steps_per_minute: Decimal | None
    exertion: bool
    last_intake: IntakeAt | None
    since_intake: timedelta | None


def align(
    readings: Sequence[Reading],
    activity: Sequence[ActivitySample],
    intakes: Sequence[IntakeAt],
    *,
    rule: AlignmentRule,
    activity_skew: timedelta = timedelta(0),
) -> tuple[Aligned, ...]:
    """Join the three by time, in the order of time. `activity_skew` is how far the activity's clock runs ahead."""
    samples = sorted(
        (replace(sample, at=sample.at - activity_skew) for sample in activity), key=lambda sample: sample.at
    )
    doses = sorted(intakes, key=lambda dose: (dose.at, dose.ingredient))
    ordered = sorted(readings, key=lambda one: (one.taken_at, one.reading_id))
    return tuple(_aligned(one, samples, doses, rule) for one in ordered)


def _aligned(
    reading: Reading, samples: Sequence[ActivitySample], doses: Sequence[IntakeAt], rule: AlignmentRule
) -> Aligned:
    exertion = Flag.POST_EXERCISE in reading.flags or _effort_before(reading.taken_at, samples, rule)
    if exertion and Flag.POST_EXERCISE not in reading.flags:
        reading = replace(reading, flags=(*reading.flags, Flag.POST_EXERCISE))
    place = bisect_right(doses, reading.taken_at, key=lambda dose: dose.at)
    last = doses[place - 1] if place else None
    return Aligned(
        reading=reading,
        steps_per_minute=_nearest(reading.taken_at, samples, rule),
        exertion=exertion,
        last_intake=last,
        since_intake=None if last is None else reading.taken_at - last.at,
    )


def _nearest(at: datetime, samples: Sequence[ActivitySample], rule: AlignmentRule) -> Decimal | None:
    """Activity nearest to `at` within the tolerance; the earlier of two equally near."""
    place = bisect_left(samples, at, key=lambda sample: sample.at)
    around = samples[max(0, place - 1) : place + 1]
    near = [sample for sample in around if abs(sample.at - at) <= rule.tolerance]
    return min(near, key=lambda sample: abs(sample.at - at)).steps_per_minute if near else None


def _effort_before(at: datetime, samples: Sequence[ActivitySample], rule: AlignmentRule) -> bool:
    first = bisect_left(samples, at - rule.rest_after, key=lambda sample: sample.at)
    last = bisect_right(samples, at, key=lambda sample: sample.at)
    return any(s.steps_per_minute is not None and s.steps_per_minute >= rule.effort for s in samples[first:last])
