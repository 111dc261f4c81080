"""What a device sends, once it has been read: a pressure, a sample of context, or why neither.

Rules
 * What the document does not say stays `None`; the device's own description fills it in later, never a guess
   (PRODUCT N2: no default for a clinical fact).
 * A reading that cannot be read is refused by name, kept, and does not take its neighbours with it (SECURITY F16).
 * An estimate without a cuff is a pressure with `Method.CUFFLESS`: stored, never averaged (CLINICAL 0.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from care_loops.domain.parts import NOTHING_READ, PartsRead
from care_loops.domain.readings import Flag, Method, Position, Setting, Status
from care_loops.domain.units import Bpm, MmHg
from governance.domain import BadInput, Refusal


class DeviceKind(StrEnum):
    """What a device is."""

    BLOOD_PRESSURE_CUFF = "blood_pressure_cuff"
    WRIST_CUFF = "wrist_cuff"
    CUFFLESS = "cuffless"
    WEARABLE = "wearable"
    HUB = "hub"


class SampleKind(StrEnum):
    """Context from a wearable. It explains readings; it never enters an average."""

    HEART_RATE = "heart_rate"
    STEPS = "steps"
    ACTIVITY = "activity"
    EXERCISE = "exercise"


SAMPLE_UNITS: dict[SampleKind, str] = {
    SampleKind.HEART_RATE: "/min",
    SampleKind.STEPS: "{steps}",
    SampleKind.ACTIVITY: "{counts}",
    SampleKind.EXERCISE: "min",
}
"""The one unit (UCUM) of each kind of sample. Another unit is refused by name."""


class Outcome(StrEnum):
    """What became of one reading of a batch."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"


class Unreadable(BadInput):
    """A document or one of its readings cannot be read; `code` names the rule it breaks."""

    def __init__(self, code: str, detail: str, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.code = code


class TooLarge(Refusal):
    """More bytes, or more readings, than one message may bring."""

    code = "too_large"
    status = 413

    def __init__(self, code: str, detail: str, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.code = code


class NotTrusted(Refusal):
    """The message is not signed by a key we know for that device: 401; 403 where the key was known and is revoked."""

    code = "not_trusted"

    def __init__(self, code: str, detail: str, *, status: int = 401, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement of blood pressure as a document tells it. `None` is what the document does not say.

    `source_id` is the document's own name for it, empty when it has none. `beside`: heart rates that came with it and
    are no one exact number; they are looked at for danger.
    """

    taken_at: datetime
    zone: str
    systolic: MmHg | None
    diastolic: MmHg | None
    pulse: Bpm | None = None
    method: Method | None = None
    setting: Setting | None = None
    position: Position = Position.UNKNOWN
    status: Status = Status.FINAL
    flags: tuple[Flag, ...] = ()
    session: str | None = None
    absent_reason: str = ""
    source_id: str = ""
    beside: PartsRead = NOTHING_READ


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sample of context: a value from `starts_at` to `ends_at`, in the unit of `SAMPLE_UNITS`."""

    kind: SampleKind
    value: Decimal
    starts_at: datetime
    ends_at: datetime
    source_id: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """A reading that could not be read, and why; `parts` are what could be. `text` is what was sent, capped."""

    code: str
    detail: str
    text: str = ""
    parts: PartsRead = NOTHING_READ


Item = Measured | Sampled | Bad


@dataclass(frozen=True, slots=True)
class BatchHead:
    """What the signature covers besides the body. `sent_at` is the device's clock; `sent_at_text` was signed."""

    device_id: str
    boot_id: str
    first_seq: int
    last_seq: int
    sent_at: datetime
    sent_at_text: str


@dataclass(frozen=True, slots=True)
class NumberedEntry:
    """One reading of a batch before it is read: its sequence number and the JSON object it came in."""

    seq: int
    content: dict[str, object]


@dataclass(frozen=True, slots=True)
class BatchBody:
    """The body of a batch, taken apart: the format, the zone the person lives in if said, the numbered readings."""

    format: str
    zone: str | None
    entries: tuple[NumberedEntry, ...]
