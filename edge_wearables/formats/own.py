"""Our own format, `clinaiops/readings/v1`: one object a reading (docs/device_protocol.md).

Rules
 * Unknown fields are refused: a field we would ignore might be the one that matters.
 * Both pressures stand there, or `absent_reason` says why one does not. Absent is null, never zero (PRODUCT N2).
"""

from __future__ import annotations

from typing import Any

from care_loops.domain.parts import PartsRead, pressure_said, rate_said
from care_loops.domain.readings import Flag, Method, Position, Setting

from ..domain import SAMPLE_UNITS, Item, Measured, Sampled, SampleKind, Unreadable
from . import fields

NAME = "clinaiops/readings/v1"
PRESSURE = frozenset(
    [
        "kind",
        "taken_at",
        "zone",
        "unit",
        "systolic",
        "diastolic",
        "pulse",
        "method",
        "setting",
        "position",
        "flags",
        "session",
        "absent_reason",
    ]
)
SAMPLE = frozenset(["kind", "starts_at", "ends_at", "value", "unit"])
SENT_FLAGS = (Flag.MOTION, Flag.POST_EXERCISE, Flag.IRREGULAR_PULSE, Flag.CLOCK_UNCERTAIN)


def read(document: object, *, zone: str | None) -> Item:
    """One reading of our format. Raises `Unreadable`."""
    found = fields.an_object(document)
    kind = fields.needed(found, "kind")
    if kind == "blood_pressure":
        return _pressure(fields.only(found, PRESSURE), zone=zone)
    if isinstance(kind, str) and kind in {member.value for member in SampleKind}:
        return _sample(fields.only(found, SAMPLE), SampleKind(kind))
    raise Unreadable("unknown_kind", "kind is not one of the known words.", field="kind")


def _pressure(found: dict[str, Any], *, zone: str | None) -> Measured:
    unit = fields.needed(found, "unit")
    values = {
        name: fields.pressure(found[name], unit=unit, name=name) if found.get(name) is not None else None
        for name in ("systolic", "diastolic")
    }
    reason = fields.text(found["absent_reason"], name="absent_reason", longest=60) if found.get("absent_reason") else ""
    if None in values.values() and not reason:
        raise Unreadable(
            "missing_field", "A pressure is missing and absent_reason does not say why.", field="absent_reason"
        )
    return Measured(
        taken_at=fields.instant(fields.needed(found, "taken_at"), name="taken_at"),
        zone=fields.zone(found.get("zone"), otherwise=zone),
        systolic=values["systolic"],
        diastolic=values["diastolic"],
        pulse=fields.pulse(found["pulse"], unit="/min", name="pulse") if found.get("pulse") is not None else None,
        method=fields.word(found["method"], Method, name="method") if found.get("method") is not None else None,
        setting=fields.word(found["setting"], Setting, name="setting") if found.get("setting") is not None else None,
        position=fields.word(found.get("position") or "unknown", Position, name="position"),
        flags=_flags(found.get("flags")),
        session=fields.text(found["session"], name="session", longest=80) if found.get("session") is not None else None,
        absent_reason=reason,
    )


def parts(document: object) -> PartsRead:
    """What can be read of a reading of our format that is refused. Never raises."""
    found = document if isinstance(document, dict) else {}
    besides = found.get("kind") in [member.value for member in SampleKind]
    rate = rate_said(found.get("value"), unit=found.get("unit"))
    said: Any = found.get("flags")
    flags = said if isinstance(said, list) else []
    when = found.get("ends_at") if besides else found.get("taken_at")
    return PartsRead(
        systolic=pressure_said(found.get("systolic"), unit=found.get("unit")),
        diastolic=pressure_said(found.get("diastolic"), unit=found.get("unit")),
        pulse=rate_said(found.get("pulse"), unit="/min") or rate,
        taken_at=fields.attempt(lambda: fields.instant(when, name="time")),
        method=fields.attempt(lambda: fields.word(found.get("method"), Method, name="method")),
        position=fields.attempt(lambda: fields.word(found.get("position"), Position, name="position"))
        or Position.UNKNOWN,
        flags=tuple(dict.fromkeys(flag for flag in SENT_FLAGS if flag.value in flags)),
        besides=besides or bool(rate),
    )


def _flags(value: object) -> tuple[Flag, ...]:
    if value is None:
        return ()
    flags = fields.words(fields.a_list(value, name="flags"), Flag, name="flags")
    if not set(flags) <= set(SENT_FLAGS):
        raise Unreadable("unknown_value", "flags has a word that only we may set.", field="flags")
    return flags


def _sample(found: dict[str, Any], kind: SampleKind) -> Sampled:
    if fields.needed(found, "unit") != SAMPLE_UNITS[kind]:
        raise Unreadable("unknown_unit", f"The unit of {kind} is {SAMPLE_UNITS[kind]}.", field="unit")
    starts_at = fields.instant(fields.needed(found, "starts_at"), name="starts_at")
    ends_at = fields.instant(fields.needed(found, "ends_at"), name="ends_at")
    if ends_at < starts_at:
        raise Unreadable("ends_before_start", "The sample ends before it starts.", field="ends_at")
    value = fields.number(fields.needed(found, "value"), name="value")
    if value < 0:
        raise Unreadable("negative", "A sample of this kind is never negative.", field="value")
    return Sampled(kind=kind, value=value, starts_at=starts_at, ends_at=ends_at)
