"""Blood pressure as it was measured, and the average of a window.

Rules
 * A component that is absent stays `None`, with the reason; it is never zero (N2).
 * `taken_at` is an instant with an offset; `zone` is the IANA zone in which the person lived that day.
 * A reading says how it was measured. Only a validated upper-arm cuff titrates (CLINICAL 0.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .units import Bpm, MmHg


class Method(StrEnum):
    """How pressure was measured."""

    UPPER_ARM_CUFF = "upper_arm_cuff"
    WRIST_CUFF = "wrist_cuff"
    CUFFLESS = "cuffless"
    AUSCULTATION = "auscultation"
    UNKNOWN = "unknown"


class Setting(StrEnum):
    """Where pressure was measured."""

    HOME = "home"
    OFFICE = "office"
    AMBULATORY = "ambulatory"
    UNKNOWN = "unknown"


class Position(StrEnum):
    """Posture of the person."""

    SEATED = "seated"
    LYING = "lying"
    STANDING = "standing"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """FHIR Observation.status, the ones that carry a result and the ones that void it."""

    FINAL = "final"
    AMENDED = "amended"
    CORRECTED = "corrected"
    PRELIMINARY = "preliminary"
    ENTERED_IN_ERROR = "entered-in-error"


class Flag(StrEnum):
    """What is known to disturb a reading."""

    MOTION = "motion"
    POST_EXERCISE = "post_exercise"
    IRREGULAR_PULSE = "irregular_pulse"
    CLOCK_UNCERTAIN = "clock_uncertain"
    LATE = "late"


class Implausible(StrEnum):
    """Why a reading is quarantined: kept and shown, never averaged."""

    SENTINEL = "device_sentinel"
    SYSTOLIC_NOT_ABOVE_DIASTOLIC = "systolic_not_above_diastolic"
    PULSE_PRESSURE_TOO_SMALL = "pulse_pressure_too_small"
    SYSTOLIC_OUT_OF_RANGE = "systolic_out_of_range"
    DIASTOLIC_OUT_OF_RANGE = "diastolic_out_of_range"
    PULSE_OUT_OF_RANGE = "pulse_out_of_range"
    FUTURE = "future"
    EQUIVOCAL = "equivocal"
    NOT_EXACT = "not_exact"  # sent as "more than" or "less than" a number
    PARTLY_READ = "partly_read"  # refused as a whole; what could be read of it is in a danger range


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement of blood pressure (and perhaps pulse).

    `reading_id` names it for ever; `quarantined` is set when plausibility holds it back. `received_at` is when
    one whose clock is uncertain reached us: the only time of it that can be believed.
    """

    reading_id: str
    taken_at: datetime
    zone: str
    systolic: MmHg | None
    diastolic: MmHg | None
    pulse: Bpm | None
    method: Method
    setting: Setting
    device_validated: bool
    status: Status = Status.FINAL
    position: Position = Position.UNKNOWN
    flags: tuple[Flag, ...] = ()
    device_id: str | None = None
    session: str | None = None
    quarantined: Implausible | None = None
    received_at: datetime | None = None


class NotUsed(StrEnum):
    """Why a reading did not enter an average. One reason a reading: the first that applies, in this order."""

    DUPLICATE = "duplicate"
    VOID_STATUS = "void_status"
    FUTURE = "future"
    OUTSIDE_WINDOW = "outside_window"
    TOO_SOON_AFTER_CHANGE = "too_soon_after_change"
    QUARANTINED = "quarantined"
    COMPONENT_ABSENT = "component_absent"
    NOT_UPPER_ARM_CUFF = "not_upper_arm_cuff"
    DEVICE_NOT_VALIDATED = "device_not_validated"
    NOT_HOME = "not_home"
    NOT_OFFICE = "not_office"
    CLOCK_UNCERTAIN = "clock_uncertain"
    STANDING = "standing"
    LYING = "lying"
    MOTION = "motion"
    POST_EXERCISE = "post_exercise"
    FIRST_DAY = "first_day"
    FIRST_READING = "first_reading"
    TOO_CLOSE = "too_close"
    SESSION_TOO_SMALL = "session_too_small"


class Insufficient(StrEnum):
    """Why there is no average. Never imputed (CLINICAL 1.1)."""

    NO_READINGS = "no_readings"
    TOO_FEW_READINGS = "too_few_readings"
    TOO_FEW_DAYS = "too_few_days"
    NO_MORNING = "no_morning"
    NO_EVENING = "no_evening"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A reading that did not enter the average, and why."""

    reading_id: str
    why: NotUsed


@dataclass(frozen=True, slots=True)
class Average:
    """A mean of systolic and diastolic pressure, unrounded."""

    systolic: MmHg
    diastolic: MmHg


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What a rule of averaging said of a window: an average, or the reason for none.

    `starts_at` (included) and `ends_at` (excluded) bound the window as instants; a rule without a window has neither.
    Every reading handed in is in `used` or in `not_used`, never in both; a second copy of one is there as a duplicate.
    Where there is no average, `used` holds those that would have counted, too few as they were.
    """

    rule: str
    rule_version: str
    starts_at: datetime | None
    ends_at: datetime | None
    average: Average | None
    reason: Insufficient | None
    used: tuple[str, ...]
    not_used: tuple[LeftOut, ...]
    pulse: Bpm | None = None

    def __post_init__(self) -> None:
        if (self.average is None) == (self.reason is None):
            raise ValueError("a window has an average or a reason for none, never both or neither")
