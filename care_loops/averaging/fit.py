"""Which readings fit a rule, whenever they were taken, and which are copies of another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ..domain.readings import (
    Flag,
    LeftOut,
    NotUsed,
    Position,
    Reading,
    Setting,
    Status,
)
from .rule import AveragingRule

_STATUS_RANK = {
    status: rank
    for rank, status in enumerate(
        (Status.ENTERED_IN_ERROR, Status.CORRECTED, Status.AMENDED, Status.FINAL, Status.PRELIMINARY)
    )
}
_BY_POSITION = {Position.STANDING: NotUsed.STANDING, Position.LYING: NotUsed.LYING}
_BY_FLAG = {
    Flag.CLOCK_UNCERTAIN: NotUsed.CLOCK_UNCERTAIN,
    Flag.MOTION: NotUsed.MOTION,
    Flag.POST_EXERCISE: NotUsed.POST_EXERCISE,
}


def unfit(reading: Reading, rule: AveragingRule) -> NotUsed | None:
    """Why a reading does not fit the rule, whenever it was taken."""
    wrong_setting = NotUsed.NOT_HOME if rule.setting is Setting.HOME else NotUsed.NOT_OFFICE
    checks: tuple[tuple[bool, NotUsed], ...] = (
        (reading.status not in rule.statuses, NotUsed.VOID_STATUS),
        (reading.quarantined is not None, NotUsed.QUARANTINED),
        (reading.systolic is None or reading.diastolic is None, NotUsed.COMPONENT_ABSENT),
        (reading.method not in rule.methods, NotUsed.NOT_UPPER_ARM_CUFF),
        (rule.device_validated and not reading.device_validated, NotUsed.DEVICE_NOT_VALIDATED),
        (reading.setting is not rule.setting, wrong_setting),
    )
    for applies, why in checks:
        if applies:
            return why
    for flag, why in _BY_FLAG.items():
        if flag in rule.excluded_flags and flag in reading.flags:
            return why
    return _BY_POSITION.get(reading.position) if reading.position in rule.excluded_positions else None


def in_order(reading: Reading) -> tuple[datetime, int, str, str]:
    """One order for a set of readings, however they were handed in; of two copies the one that corrects comes first."""
    values = f"{reading.systolic}|{reading.diastolic}|{reading.pulse}|{reading.device_id}"
    return utc(reading.taken_at), _STATUS_RANK[reading.status], reading.reading_id, values


def without_duplicates(ordered: Iterable[Reading]) -> tuple[list[Reading], list[LeftOut]]:
    """Drop what was uploaded twice: same id; same device and instant; without a device, same instant and values.

    What was entered in error says nothing of another entry that merely shares its device and instant.
    """
    distinct: list[Reading] = []
    left: list[LeftOut] = []
    seen: set[tuple[object, ...]] = set()
    for reading in ordered:
        keys: list[tuple[object, ...]] = [("id", reading.reading_id)]
        instant = utc(reading.taken_at)
        if reading.status is not Status.ENTERED_IN_ERROR:
            if reading.device_id:
                keys.append(("device", reading.device_id, instant))
            elif reading.systolic is not None or reading.diastolic is not None:
                keys.append(("values", instant, reading.systolic, reading.diastolic))
        if seen.isdisjoint(keys):
            distinct.append(reading)
            seen.update(keys)
        else:
            left.append(LeftOut(reading.reading_id, NotUsed.DUPLICATE))
    return distinct, left


def utc(instant: datetime) -> datetime:
    """The instant in UTC, where differences are elapsed time and comparison sees the second of two equal hours."""
    return instant.astimezone(UTC)
