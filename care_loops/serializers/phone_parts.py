"""What can be read of a reading or a symptom that a phone sent and that is refused: its parts, each read alone (N4).

Rules
 * A word, a number, a time that cannot be read leaves the others where they are; what is no strict JSON is read as far
   as anything can be made out of it. Never raises.
 * A time in the future is the phone's clock, and no time.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from rest_framework.serializers import ValidationError

from ..domain.clocks import was_reset
from ..domain.parts import PartsRead, json_said, pressure_said, rate_said
from ..domain.readings import Flag, Method, Position
from ..domain.record import SymptomKind
from .strict import CLOCK_MAY_RUN_AHEAD, StrictTime

_Word = TypeVar("_Word", bound=StrEnum)


def parts_said(body: bytes, *, now: datetime) -> tuple[PartsRead, ...]:
    """Everything that may be a reading in a body: none, one, or two where a name stands twice."""
    return tuple(_parts(said, now=now) for said in json_said(body) if isinstance(said, dict))


def symptoms_said(body: bytes, *, now: datetime) -> tuple[tuple[SymptomKind, datetime | None], ...]:
    """Every kind of symptom that a body names, with the time felt, or `None` where none can be read or believed."""
    found: dict[SymptomKind, datetime | None] = {}
    for said in json_said(body):
        kind = _word(_plain(said.get("kind")), SymptomKind) if isinstance(said, dict) else None
        if kind is not None and isinstance(said, dict):
            at = _time(said.get("felt_at"), now=now)
            found[kind] = None if at is None or was_reset(at, received_at=now) else at
    return tuple(found.items())


def _plain(said: object) -> object:
    return said.strip().lower() if isinstance(said, str) else said


def _parts(said: dict[str, Any], *, now: datetime) -> PartsRead:
    unit, flags = said.get("unit"), said.get("flags")
    return PartsRead(
        systolic=pressure_said(said.get("systolic"), unit=unit),
        diastolic=pressure_said(said.get("diastolic"), unit=unit),
        pulse=rate_said(said.get("pulse"), unit="bpm"),
        taken_at=_time(said.get("taken_at"), now=now),
        method=_word(said.get("method"), Method),
        position=_word(said.get("position"), Position) or Position.UNKNOWN,
        flags=tuple(flag for flag in (Flag.MOTION, Flag.POST_EXERCISE) if isinstance(flags, list) and flag in flags),
    )


def _word(said: object, kind: type[_Word]) -> _Word | None:
    return next((word for word in kind if word.value == said), None)


def _time(said: object, *, now: datetime) -> datetime | None:
    try:
        time = StrictTime(may_be_future=True).to_internal_value(said)
    except ValidationError:
        return None
    return time if time <= now + CLOCK_MAY_RUN_AHEAD else None
