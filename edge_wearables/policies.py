"""When and whose: whether a device's clock can be believed, how a reading is dated, and who had the device.

Rules (DESIGN 8, SECURITY F12, F15)
 * A message signed with a key cannot have been sent before that key existed, nor more than five minutes from now:
   either shows that the clock is wrong. Its readings are then kept, flagged `clock_uncertain`, held back from averages,
   and looked at for danger as if they were recent.
 * A reading more than five minutes in the future is treated the same, and so is one from where a clock begins that lost
   its power.
 * A reading that arrives more than seven days after it was taken is flagged `late`.
 * A reading is the patient's who had the device when it was taken; with a wrong clock, of who has it now.
 * How a device measures is what we know of the device. A message may say less of itself, never more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from care_loops.domain.clocks import CLOCK_TOLERANCE, could_be
from care_loops.domain.readings import Flag, Implausible, Method

LATE_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Tenure:
    """Whose device it was: from `since` (included) to `until` (excluded, `None` while it lasts)."""

    patient_id: UUID
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Dating:
    """What is known of a reading's time: flags to add, and why it is held back, if it is."""

    flags: tuple[Flag, ...]
    held: Implausible | None


def clock_is_wrong(*, sent_at: datetime, received_at: datetime, key_since: datetime) -> bool:
    """Whether the time of sending proves that the device's clock is wrong."""
    return sent_at > received_at + CLOCK_TOLERANCE or sent_at < key_since - CLOCK_TOLERANCE


def dating(*, taken_at: datetime, sent_at: datetime, received_at: datetime, wrong_clock: bool) -> Dating:
    """How a reading taken at `taken_at` by the device's clock is dated."""
    if wrong_clock or not could_be(taken_at, received_at=received_at):
        return Dating((Flag.CLOCK_UNCERTAIN,), Implausible.FUTURE)
    if taken_at > sent_at + CLOCK_TOLERANCE:
        return Dating((Flag.CLOCK_UNCERTAIN,), None)
    return Dating((Flag.LATE,) if received_at - taken_at > LATE_AFTER else (), None)


def holder(tenures: Iterable[Tenure], at: datetime) -> UUID | None:
    """Who had the device at that moment."""
    return next((t.patient_id for t in tenures if t.since <= at and (t.until is None or at < t.until)), None)


def method_of(device: Method, *, device_validated: bool, said: Method | None) -> tuple[Method, bool]:
    """How the reading was taken, and whether that cuff is validated: the lesser of what we know and what is said."""
    if said is None or said is device:
        return device, device_validated
    if said is Method.UPPER_ARM_CUFF and device is not Method.UNKNOWN:
        return device, device_validated and device is Method.UPPER_ARM_CUFF
    return said, False
