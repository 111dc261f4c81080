"""Open mHealth documents: blood-pressure 1.0 to 4.0, heart-rate 1.0 to 2.0, step-count 1.0 to 3.0, bare or wrapped.

Rules
 * `validate` says whether a document meets its schema, as the schemas say it; `read` says whether it is a reading.
   A valid document may still be none: a statistic over weeks, a part of a day, no time at all. Refused by name.
 * The only units are the schemas': mmHg, beats/min, steps. The schemas have no time zone: it comes from the device.
 * A wrist stays a wrist: `measurement_location` sets the method, and only an upper-arm cuff titrates (CLINICAL 0.2).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from care_loops.domain.parts import PartsRead, pressure_said, rate_said
from care_loops.domain.readings import Flag, Method, Position

from ..domain import Item, Measured, Sampled, SampleKind, Unreadable
from . import fields

NAME = "open_mhealth"
POSTURES = {
    "sitting": Position.SEATED,
    "lying down": Position.LYING,
    "standing": Position.STANDING,
    "semi-recumbent": Position.UNKNOWN,
}
OLD_POSTURES = frozenset({"sitting", "lying down", "standing"})
STATISTICS = frozenset(
    {"average", "count", "maximum", "minimum", "median", "standard deviation", "sum", "variance", "mode"}
)
NO_PRESSURES = ("count", "standard deviation", "sum", "variance")
PRESSURES = ("systolic_blood_pressure", "diastolic_blood_pressure")
EXERTION: dict[str, tuple[Flag, ...]] = {
    "at rest": (),
    "active": (Flag.MOTION,),
    "before exercise": (),
    "after exercise": (Flag.POST_EXERCISE,),
    "during exercise": (Flag.MOTION,),
}
SLEEP = frozenset({"before sleeping", "during sleep", "on waking"})
WRISTS, ARMS = frozenset({"left wrist", "right wrist"}), frozenset({"left upper arm", "right upper arm"})
PLACES = (
    WRISTS | ARMS | {f"{side} {part}" for side in ("left", "right") for part in ("ankle", "hip", "thigh", "thorax")}
)
PLACES |= {"middle left thorax"}
PARTS_OF_DAY = frozenset({"morning", "afternoon", "evening", "night"})
DURATIONS = {"sec": 1, "min": 60, "h": 3600, "d": 86_400, "wk": 604_800}


def read(document: object, *, zone: str | None) -> Item:
    """One document or data point. Raises `Unreadable`."""
    body, source_id = _unwrapped(document)
    kind = validate(body)
    if body.get("descriptive_statistic") is not None:
        raise Unreadable("statistic_not_a_reading", "A statistic over readings is not a reading.")
    if kind == "step-count":
        starts_at, ends_at = _interval(body)
        if "date_time" in body["effective_time_frame"]:
            raise Unreadable("not_an_interval", "Steps are counted over an interval.", field="effective_time_frame")
        steps = body["step_count"]
        value = steps["value"] if isinstance(steps, dict) else steps
        return Sampled(SampleKind.STEPS, fields.number(value, name="step_count"), starts_at, ends_at, source_id)
    starts_at, ends_at = _interval(body)
    if kind == "heart-rate":
        rate = fields.number(body["heart_rate"]["value"], name="heart_rate")
        return Sampled(SampleKind.HEART_RATE, rate, starts_at, ends_at, source_id)
    location = body.get("measurement_location")
    return Measured(
        taken_at=fields.short_interval(starts_at, ends_at, name="effective_time_frame"),
        zone=fields.zone(None, otherwise=zone),
        systolic=fields.pressure(body["systolic_blood_pressure"]["value"], unit="mmHg", name="systolic"),
        diastolic=fields.pressure(body["diastolic_blood_pressure"]["value"], unit="mmHg", name="diastolic"),
        method=_method(location),
        position=POSTURES.get(
            str(body.get("body_posture") or body.get("position_during_measurement")), Position.UNKNOWN
        ),
        flags=EXERTION.get(str(body.get("temporal_relationship_to_physical_activity")), ()),
        source_id=source_id,
    )


def parts(document: object) -> PartsRead:
    """What can be read of a document that is refused. Never raises."""
    found = document if isinstance(document, dict) else {}
    body = found["body"] if isinstance(found.get("body"), dict) else found
    if body.get("descriptive_statistic") in NO_PRESSURES:
        return PartsRead()
    frame = fields.attempt(lambda: _frame(fields.an_object(body.get("effective_time_frame"))))
    values = {name: body[name] if isinstance(body.get(name), dict) else {} for name in (*PRESSURES, "heart_rate")}
    systolic, diastolic = (
        pressure_said(values[name].get("value"), unit=values[name].get("unit")) for name in PRESSURES
    )
    return PartsRead(
        systolic=systolic,
        diastolic=diastolic,
        pulse=rate_said(values["heart_rate"].get("value"), unit=values["heart_rate"].get("unit")),
        taken_at=frame[1] if frame else None,
        method=_method(body.get("measurement_location")) if isinstance(body.get("measurement_location"), str) else None,
        position=POSTURES.get(str(body.get("body_posture")), Position.UNKNOWN),
        flags=EXERTION.get(str(body.get("temporal_relationship_to_physical_activity")), ()),
        besides=not any(name in body for name in PRESSURES),
    )


def validate(body: dict[str, Any]) -> str:
    """The name of the schema this body meets. Raises `Unreadable` naming what is broken."""
    if "heart_rate" in body:
        _unit_value(body["heart_rate"], unit="beats/min", name="heart_rate")
        kind = "heart-rate"
    elif "step_count" in body:
        _steps(body["step_count"])
        kind = "step-count"
    else:
        for name in ("systolic_blood_pressure", "diastolic_blood_pressure"):
            _unit_value(fields.needed(body, name), unit="mmHg", name=name)
        kind = "blood-pressure"
    if (frame := body.get("effective_time_frame")) is not None:
        _frame(fields.an_object(frame, name="effective_time_frame"))
    _closed(body, "body_posture", frozenset(POSTURES))
    _closed(body, "position_during_measurement", OLD_POSTURES)
    _closed(body, "descriptive_statistic", STATISTICS)
    _closed(body, "temporal_relationship_to_physical_activity", frozenset(EXERTION))
    _closed(body, "temporal_relationship_to_sleep", SLEEP)
    _closed(body, "measurement_location", PLACES)
    if body.get("user_notes") is not None and not isinstance(body["user_notes"], str):
        raise Unreadable("wrong_type", "user_notes is not text.", field="user_notes")
    return kind


def _unwrapped(document: object) -> tuple[dict[str, Any], str]:
    """The body, and the data point's own id where there is one."""
    found = fields.an_object(document, name="the document")
    if "header" not in found:
        return found, ""
    header = fields.an_object(found["header"], name="header")
    name = fields.an_object(header.get("schema_id"), name="header.schema_id").get("name")
    body = fields.an_object(found.get("body"), name="body")
    keys = {"blood-pressure": "systolic_blood_pressure", "heart-rate": "heart_rate", "step-count": "step_count"}
    if not isinstance(name, str) or name not in keys:
        raise Unreadable(
            "unknown_kind", "The data point is not a blood pressure, heart rate or step count.", field="name"
        )
    fields.needed(body, keys[name])
    return body, fields.text(header.get("id"), name="header.id", longest=120)


def _unit_value(value: object, *, unit: str, name: str) -> None:
    found = fields.an_object(value, name=name)
    fields.number(fields.needed(found, "value"), name=name)
    if fields.needed(found, "unit") != unit:
        raise Unreadable("unknown_unit", f"The unit of {name} is not {unit}.", field=name)


def _steps(value: object) -> None:
    if isinstance(value, dict):
        _unit_value(value, unit="steps", name="step_count")
    else:
        fields.number(value, name="step_count")


def _closed(body: dict[str, Any], name: str, allowed: frozenset[str]) -> None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or value not in allowed):
        raise Unreadable("unknown_value", f"{name} is not one of the schema's words.", field=name)


def _frame(frame: dict[str, Any]) -> tuple[datetime, datetime] | None:
    """Start and end of a time frame; None when it names only a part of a day. Raises when it is neither form."""
    if ("date_time" in frame) == ("time_interval" in frame):
        raise Unreadable("bad_time", "A time frame is a date_time or a time_interval.", field="effective_time_frame")
    if "date_time" in frame:
        at = fields.instant(frame["date_time"], name="date_time")
        return at, at
    interval = fields.an_object(frame["time_interval"], name="time_interval")
    if "part_of_day" in interval:
        _closed(interval, "part_of_day", PARTS_OF_DAY)
        fields.text(fields.needed(interval, "date"), name="date", longest=10)
        return None
    given = {
        name: fields.instant(interval[name], name=name)
        for name in ("start_date_time", "end_date_time")
        if name in interval
    }
    if len(given) == 2:
        return given["start_date_time"], given["end_date_time"]
    length = _duration(fields.needed(interval, "duration"))
    if "start_date_time" in given:
        return given["start_date_time"], given["start_date_time"] + length
    fields.needed(interval, "end_date_time")
    return given["end_date_time"] - length, given["end_date_time"]


def _duration(value: object) -> timedelta:
    found = fields.an_object(value, name="duration")
    amount, unit = fields.number(fields.needed(found, "value"), name="duration"), fields.needed(found, "unit")
    if not isinstance(unit, str) or unit not in DURATIONS or amount < 0:
        raise Unreadable("unknown_unit", "The unit of the duration is not known.", field="duration")
    length = timedelta(seconds=float(amount) * DURATIONS[unit])
    if length > timedelta(days=366):
        raise Unreadable("time_too_coarse", "The duration is longer than a year.", field="duration")
    return length


def _interval(body: dict[str, Any]) -> tuple[datetime, datetime]:
    frame = body.get("effective_time_frame")
    if frame is None:
        raise Unreadable(
            "missing_time", "The document does not say when it was measured.", field="effective_time_frame"
        )
    found = _frame(frame)
    if found is None:
        raise Unreadable(
            "time_too_coarse", "The document gives a part of a day, not a time.", field="effective_time_frame"
        )
    if found[1] < found[0]:
        raise Unreadable("ends_before_start", "The time frame ends before it starts.", field="effective_time_frame")
    return found


def _method(location: object) -> Method | None:
    if location in WRISTS:
        return Method.WRIST_CUFF
    if location in ARMS:
        return Method.UPPER_ARM_CUFF
    return Method.UNKNOWN if location is not None else None
