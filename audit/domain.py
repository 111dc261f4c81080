"""What an audit event is: who did what to which thing, why, and how it ended.

The rules
 * An event names its actor: a person, a device, a job or a model, by identifier. There is no fifth case and no "nobody"
   (SECURITY 3.3 `actor`; STYLE habit 3).
 * The client that acted for a person is named beside the person, never instead of them (`on_behalf_of`).
 * `occurred_at` is handed in by the caller, with a time zone; nothing here reads a clock. The database's own clock is
   added as `at` when the event is appended.
 * No personal data in these fields: the patient goes into `subject` (turned into a keyed pseudonym on append), anything
   a person said or measured goes into `payload` (stored apart, the entry keeps a salted commitment only).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


class EventInvalid(ValueError):
    """The caller built an event that may not enter the record: a bug of the caller's, named by `code`."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class Outcome(enum.StrEnum):
    """How the act ended. A denied act and a failed one are recorded as well as a successful one."""

    OK = "ok"
    DENIED = "denied"
    ERROR = "error"


class Purpose(enum.StrEnum):
    """Why the actor touched the object. A closed set; a new meaning is a new word."""

    TREATMENT = "treatment"
    SAFETY = "safety"
    PATIENT_REQUEST = "patient_request"
    OPERATIONS = "operations"
    QUALITY = "quality"
    RESEARCH = "research"
    AUDIT = "audit"
    LEGAL = "legal"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account. `session` is the raw session or token id: only its hash enters the record."""

    id: str
    role: str
    org: str | None = None
    session: str | None = field(default=None, repr=False)
    amr: tuple[str, ...] = ()
    auth_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A measuring device, by its identifier and the key it signed with."""

    id: str
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled or background job: its name and this run of it."""

    name: str
    run: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model acting by itself, at an exact version."""

    id: str
    version: str


Actor = Person | Device | Job | Model


@dataclass(frozen=True, slots=True)
class OnBehalfOf:
    """The client application that acted for the person."""

    client_id: str


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The thing acted upon.

    `version` counts the object's entries from 1 without a gap and chains them. None means the act looked at the object
    and did not change it (a read, a denial): such an entry stands outside the object's chain.
    """

    type: str
    id: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Which fields changed, by name; `before` and `after` are commitments in hex, when the caller keeps them."""

    fields: tuple[str, ...]
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model whose output the act rests on, exactly enough to find it again."""

    id: str
    version: str
    artifact_sha256: str | None = None
    config_sha256: str | None = None
    data_snapshot: str | None = None
    policy_version: str | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """One limit that spoke: what was asked, what was given. Decimals are strings, `unit` is UCUM."""

    name: str
    asked: str
    given: str
    unit: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits applied to a proposed change, and the reasons by code."""

    caps: tuple[Cap, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Esign:
    """A signature bound to the record as shown (SECURITY 3.4). `record` and `assertion_sha256` are 64 hex digits."""

    meaning: str
    record: str
    method: str
    assertion_sha256: str | None = None
    key_id: str | None = None
    name_shown: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRef:
    """The request that carried the act. `ip_prefix` is a network, never a full address."""

    id: str | None = None
    idem: str | None = None
    route: str | None = None
    ip_prefix: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One act, ready to be appended.

    `type` is a name from `audit.kinds`; `occurred_at` is when it happened, zone-aware; `subject` is the patient's own
    identifier (opaque to us, pseudonymised on append); `payload` is a JSON object without floats (decimals as strings)
    and may hold personal data; `cause` is the id of the entry this one follows from.
    """

    type: str
    occurred_at: datetime
    actor: Actor
    object: ObjectRef
    purpose: Purpose = Purpose.TREATMENT
    on_behalf_of: OnBehalfOf | None = None
    subject: str | None = field(default=None, repr=False)
    outcome: Outcome = Outcome.OK
    reason_code: str | None = None
    change: Change | None = None
    payload: Mapping[str, Any] | None = field(default=None, repr=False)
    model: ModelRef | None = None
    limits: Limits | None = None
    esign: Esign | None = None
    cause: UUID | None = None
    req: RequestRef | None = None
    break_glass_id: str | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """What the caller gets back: the entry's id for its domain row, and the leaf hash for its receipt.

    `at` is the database's clock inside the entry, `payload_id` where the payload is kept (None without one).
    """

    entry_id: UUID
    leaf_hash: bytes
    at: datetime
    payload_id: UUID | None = None
