"""A table of readings in CSV becomes readings, row by row; what cannot be read is named, never guessed.

The rules
 * Columns `taken_at`, `systolic`, `diastolic`; `pulse`, `device`, `session` may stand beside them; others are ignored.
 * Rows count from 1 below the header; empty lines do not count.
 * Empty, `-` and `NA` mean absent. A word, NaN or infinity for a number is `bad_number`.
 * A time without an offset is local time in the zone handed in. One that a clock change made ambiguous or skipped is
   named and not used: which hour it was, nobody knows. A date without a time is no time.
 * A row with a time but no pressure keeps its place as an attempt: the reading after it was not the first.
 * kPa becomes mmHg here, once.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from .domain.readings import Method, Reading, Setting
from .domain.units import Bpm, MmHg
from .plausibility import PlausibilityLimits, check

REQUIRED = ("taken_at", "systolic", "diastolic")
OPTIONAL = ("pulse", "device", "session")
ABSENT = ("", "-", "na")
_NUMBER = re.compile(r"-?[0-9]{1,7}(\.[0-9]{1,9})?")
_HAS_TIME = re.compile(r"[T ][0-9]{2}")


class Unit(StrEnum):
    """Unit of the pressures in a file."""

    MMHG = "mmHg"
    KPA = "kPa"


class BadRow(StrEnum):
    """Why a row could not be read."""

    WRONG_NUMBER_OF_CELLS = "wrong_number_of_cells"
    TIME_ABSENT = "time_absent"
    BAD_TIME = "bad_time"
    DATE_WITHOUT_TIME = "date_without_time"
    AMBIGUOUS_LOCAL_TIME = "ambiguous_local_time"
    NONEXISTENT_LOCAL_TIME = "nonexistent_local_time"
    BAD_NUMBER = "bad_number"


class NotAReadingsFile(Exception):
    """The file as a whole cannot be read. A refusal: the sentence is for the person who handed it in."""


class _Refused(Exception):
    def __init__(self, code: BadRow) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class CsvSource:
    """What the file does not say of its readings: how and where they were taken, in which zone and unit."""

    zone: ZoneInfo
    method: Method
    setting: Setting
    device_validated: bool
    unit: Unit


@dataclass(frozen=True, slots=True)
class ParsedCsv:
    """Readings (their ids are row numbers, padded) and the rows that could not be read. A refused row with a time is
    also among the readings, without pressures, to keep its place."""

    rows: int
    readings: tuple[Reading, ...]
    refused: tuple[tuple[int, BadRow], ...]


def parse(text: str, source: CsvSource, limits: PlausibilityLimits) -> ParsedCsv:
    """Read a file. Raises `NotAReadingsFile` when it has no header of ours; never for one bad row."""
    lines = _lines(text)
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise NotAReadingsFile(f"the header lacks {', '.join(missing)}; it needs {', '.join(REQUIRED)}")
    twice = sorted({name for name in (*REQUIRED, *OPTIONAL) if header.count(name) > 1})
    if twice:
        raise NotAReadingsFile(f"the header names {', '.join(twice)} more than once")
    readings: list[Reading] = []
    refused: list[tuple[int, BadRow]] = []
    for row, cells in enumerate(lines[1:], start=1):
        try:
            reading, code = _row(row, _cells(header, cells), source)
        except _Refused as err:
            refused.append((row, err.code))
            continue
        readings.append(replace(reading, quarantined=check(reading, limits, now=None)))
        if code is not None:
            refused.append((row, code))
    return ParsedCsv(rows=len(lines) - 1, readings=tuple(readings), refused=tuple(refused))


def instant(text: str, zone: ZoneInfo) -> datetime:
    """An ISO 8601 date and time as an instant. Raises `ValueError` with the code of `BadRow` as its text."""
    try:
        return _instant(text, zone)
    except _Refused as err:
        raise ValueError(err.code.value) from err


def _lines(text: str) -> list[list[str]]:
    try:
        return [cells for cells in csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True) if cells]
    except csv.Error as err:
        raise NotAReadingsFile(f"this is not CSV: {err}") from err


def _cells(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise _Refused(BadRow.WRONG_NUMBER_OF_CELLS)
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _row(row: int, cells: dict[str, str], source: CsvSource) -> tuple[Reading, BadRow | None]:
    """The reading of a row; with a code, and no pressures, when its numbers cannot be read."""
    taken_at = _instant(cells["taken_at"], source.zone)
    numbers: list[Decimal | None] = [None, None, None]
    code = None
    try:
        numbers = [_number(cells.get(name, "")) for name in ("systolic", "diastolic", "pulse")]
    except _Refused as err:
        code = err.code
    systolic, diastolic, pulse = numbers
    reading = Reading(
        reading_id=f"{row:09d}",
        taken_at=taken_at,
        zone=source.zone.key,
        systolic=_pressure(systolic, source.unit),
        diastolic=_pressure(diastolic, source.unit),
        pulse=None if pulse is None else Bpm(pulse),
        method=source.method,
        setting=source.setting,
        device_validated=source.device_validated,
        device_id=_name(cells.get("device", "")),
        session=_name(cells.get("session", "")),
    )
    return reading, code


def _instant(text: str, zone: ZoneInfo) -> datetime:
    if text.lower() in ABSENT:
        raise _Refused(BadRow.TIME_ABSENT)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise _Refused(BadRow.BAD_TIME) from err
    if not _HAS_TIME.search(text):
        raise _Refused(BadRow.DATE_WITHOUT_TIME)
    if moment.tzinfo is not None:
        return moment
    early, late = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    there_and_back = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    raise _Refused(BadRow.AMBIGUOUS_LOCAL_TIME if there_and_back == moment else BadRow.NONEXISTENT_LOCAL_TIME)


def _number(cell: str) -> Decimal | None:
    if cell.lower() in ABSENT:
        return None
    if not _NUMBER.fullmatch(cell):
        raise _Refused(BadRow.BAD_NUMBER)
    return Decimal(cell)


def _pressure(value: Decimal | None, unit: Unit) -> MmHg | None:
    if value is None:
        return None
    return MmHg.from_kpa(value) if unit is Unit.KPA else MmHg(value)


def _name(cell: str) -> str | None:
    return None if cell.lower() in ABSENT else cell
