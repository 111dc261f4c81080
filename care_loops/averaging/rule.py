"""A rule of averaging as data: what counts, over which days, in which sessions, how much is enough (CLINICAL 1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..domain.provenance import Cited
from ..domain.readings import (
    Flag,
    Method,
    Position,
    Setting,
    Status,
)


class SessionBy(StrEnum):
    """What makes readings one session."""

    HALF_DAY = "half_day"  # local day, before noon or after it
    VISIT = "visit"  # the name given with the reading, else its local day


@dataclass(frozen=True, slots=True)
class AveragingRule:
    """How readings are averaged. Every field stands as a cited row in the data file (`rows`)."""

    name: str
    version: str
    methods: tuple[Method, ...]
    setting: Setting
    device_validated: bool
    statuses: tuple[Status, ...]
    excluded_positions: tuple[Position, ...]
    excluded_flags: tuple[Flag, ...]
    plausibility: str
    window_days: int | None
    settle_days: int
    discard_first_day: bool
    discard_first_reading: bool
    session_by: SessionBy
    session_readings: int
    session_readings_af: int
    gap_seconds: int
    min_days: int
    min_readings: int
    morning_and_evening: bool
    rows: tuple[Cited, ...] = ()
