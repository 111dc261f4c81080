"""Exports of the Omron app, in the three headers seen in the wild (DATA.md).

Rules
 * The header decides the dialect; an unknown header is refused, never matched by position.
 * Times are local. The third dialect carries its zone in each row; for the others it must be given.
 * `-` and empty mean missing. A row without any pressure is refused by name; one with a single pressure keeps its gap.
 * Month names are English or Spanish, by a closed list. An unknown month is refused, not guessed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from care_loops.domain.parts import PartsRead, pressure_said, rate_said
from care_loops.domain.readings import Flag

from ..domain import Bad, Item, Measured, Unreadable
from . import fields

NAME = "omron_csv"
MAX_ROWS = 50_000
ABSENT = frozenset({"", "-", "--", "–"})
YES = frozenset({"yes", "y", "true", "1", "x", "sí", "si", "detected"})
_ENGLISH = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_SPANISH = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"]
MONTHS = {name: i + 1 for names in (_ENGLISH, _SPANISH) for i, name in enumerate(names)} | {"sept": 9}
_PLAIN_NUMBER = re.compile(r"\d{1,5}(\.\d{1,4})?", re.ASCII)

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where a dialect keeps what we read, and how it writes a time."""

    systolic: str
    diastolic: str
    pulse: str
    when: Callable[[Row], datetime]
    zone: str | None = None
    irregular: str | None = None
    needs: tuple[str, ...] = ()

    def fits(self, header: list[str]) -> bool:
        """Whether every column this dialect needs is there."""
        return {self.systolic, self.diastolic, self.pulse, *self.needs} <= set(header)


def _month_first(row: Row) -> datetime:
    found = re.fullmatch(r"([A-Za-z]{3,4})\.? (\d{1,2}),? (\d{4})", row["Date"], re.ASCII)
    if found is None:
        raise Unreadable("bad_time", "Date is not written as Jan 12 2025.", field="Date")
    return _time(found[3], found[1], found[2], row["Time"])


def _day_first(row: Row) -> datetime:
    found = re.fullmatch(r"(\d{1,2}) ([A-Za-z]{3,4})\.? (\d{4})", row["Fecha"], re.ASCII)
    if found is None:
        raise Unreadable("bad_time", "Fecha is not written as 23 feb. 2026.", field="Fecha")
    return _time(found[3], found[2], found[1], row["Hora"])


def _slashes(row: Row) -> datetime:
    found = re.fullmatch(r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d(?::\d\d)?)", row["Measurement Date"], re.ASCII)
    if found is None:
        raise Unreadable("bad_time", "Measurement Date is not written as 2024/11/21 11:40.", field="Measurement Date")
    return _time(found[1], found[2], found[3], found[4])


def _time(year: str, month: str, day: str, clock: str) -> datetime:
    number = MONTHS.get(month.lower()) if not month.isdigit() else int(month)
    found = re.fullmatch(r"(\d{1,2}):(\d\d)(?::(\d\d))?", clock, re.ASCII)
    if number is None or found is None:
        raise Unreadable("bad_time", "The month or the time of day is not one we know.")
    try:
        return datetime(int(year), number, int(day), int(found[1]), int(found[2]), int(found[3] or 0))  # noqa: DTZ001 - local, placed in its zone by the caller
    except ValueError as err:
        raise Unreadable("bad_time", "The date does not exist.") from err


DIALECTS = (
    Dialect("Systolic (mmHg)", "Diastolic (mmHg)", "Pulse (bpm)", _month_first, needs=("Date", "Time")),
    Dialect("Sistólica (mmHg)", "Diastólica (mmHg)", "Pulso (ppm)", _day_first, needs=("Fecha", "Hora")),
    Dialect(
        "SYS(mmHg)",
        "DIA(mmHg)",
        "Pulse(bpm)",
        _slashes,
        zone="Timezone",
        irregular="Irregular heartbeat detected",
        needs=("Measurement Date", "Timezone"),
    ),
)


def read_all(content: bytes, *, zone: str | None) -> tuple[Item, ...]:
    """Every row of an export, each read or refused by name on its own. Raises `Unreadable` for the file as a whole."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise Unreadable("not_utf8", "The file is not UTF-8.") from err
    if "\x00" in text:
        raise Unreadable("bad_text", "The file has NUL characters.")
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(rows, [])]
        dialect = next((known for known in DIALECTS if known.fits(header)), None)
        if dialect is None or len(set(header)) != len(header):
            raise Unreadable("unknown_header", "The columns are not those of an export we know.", header=header[:12])
        return tuple(_item(header, row, dialect, zone, number) for number, row in _numbered(rows))
    except csv.Error as err:
        raise Unreadable("not_csv", f"The file is not CSV: {err}.") from err


def _numbered(rows: Iterable[list[str]]) -> list[tuple[int, list[str]]]:
    found = [(number, row) for number, row in enumerate(rows, start=2) if any(cell.strip() for cell in row)]
    if len(found) > MAX_ROWS:
        raise Unreadable("too_many_rows", f"The file has more than {MAX_ROWS} rows.")
    return found


def _item(header: list[str], cells: list[str], dialect: Dialect, zone: str | None, number: int) -> Item:
    try:
        if len(cells) != len(header):
            raise Unreadable("wrong_columns", f"Row {number} has {len(cells)} columns, the header {len(header)}.")
        return _measured({name: cell.strip() for name, cell in zip(header, cells, strict=True)}, dialect, zone)
    except Unreadable as why:
        row = dict.fromkeys(header, "") | dict(zip(header, (cell.strip() for cell in cells), strict=False))
        return Bad(
            why.code, f"Row {number}: {why.detail}", text=",".join(cells)[:500], parts=_parts(row, dialect, zone)
        )


def _parts(row: Row, dialect: Dialect, zone: str | None) -> PartsRead:
    """What can be read of a row that is refused; with too many or too few cells, by the columns they stand in."""

    def at() -> datetime:
        zone_name = fields.zone(_said(row, dialect.zone), otherwise=zone)
        return fields.local_time(dialect.when(row), zone_name=zone_name, name="the time")

    return PartsRead(
        systolic=pressure_said(row.get(dialect.systolic), unit="mmHg"),
        diastolic=pressure_said(row.get(dialect.diastolic), unit="mmHg"),
        pulse=rate_said(row.get(dialect.pulse), unit="bpm"),
        taken_at=fields.attempt(at),
    )


def _measured(row: Row, dialect: Dialect, zone: str | None) -> Measured:
    systolic, diastolic, pulse = (
        _number(row[name], name) for name in (dialect.systolic, dialect.diastolic, dialect.pulse)
    )
    if systolic is None and diastolic is None:
        raise Unreadable("nothing_measured", "The row has no pressure.")
    zone_name = fields.zone(_said(row, dialect.zone), otherwise=zone)
    irregular = (_said(row, dialect.irregular) or "").lower() in YES
    return Measured(
        taken_at=fields.local_time(dialect.when(row), zone_name=zone_name, name="the time"),
        zone=zone_name,
        systolic=fields.pressure(systolic, unit="mmHg", name=dialect.systolic) if systolic is not None else None,
        diastolic=fields.pressure(diastolic, unit="mmHg", name=dialect.diastolic) if diastolic is not None else None,
        pulse=fields.pulse(pulse, unit="bpm", name=dialect.pulse) if pulse is not None else None,
        flags=(Flag.IRREGULAR_PULSE,) if irregular else (),
        absent_reason="" if systolic is not None and diastolic is not None else "missing-in-export",
    )


def _said(row: Row, column: str | None) -> str | None:
    value = row.get(column, "") if column else ""
    return None if value in ABSENT else value


def _number(cell: str, column: str) -> Decimal | None:
    if cell in ABSENT:
        return None
    if _PLAIN_NUMBER.fullmatch(cell) is None:
        raise Unreadable("not_a_number", f"{column} is not a number.", field=column)
    return Decimal(cell)
