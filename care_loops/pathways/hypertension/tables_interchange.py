"""Tables of interchange codes, read from their files: LOINC and other codes, units, markers, dose timings."""

from __future__ import annotations

from functools import cache

from ...domain.readings import Method, Position, Setting
from ...terminology import (
    LOINC,
    Codebook,
    Marker,
    MarkerKind,
    Measured,
    NoMedicines,
    NoMedicinesCode,
    ObservationCode,
    TimingCode,
    UnitRow,
)
from .tables_therapy import BadTable, Row, decimal_of, read_table, source_of, words_of


@cache
def codebook() -> Codebook:
    """Every code of interchange."""
    observations = [_observation(row, LOINC) for row in read_table("loinc").rows]
    observations += [_observation(row, str(row["system"])) for row in read_table("other_codes").rows]
    units = [_unit(row) for row in read_table("units").rows]
    markers = [_marker(row) for row in read_table("bp_markers").rows]
    timings = [
        TimingCode(code=str(row["code"]), per_day=decimal_of(row, "per_day"), source=source_of(row))
        for row in read_table("dose_timings").rows
    ]
    nothing = [
        NoMedicinesCode(NoMedicines(str(row["what"])), str(row["system"]), str(row["code"]), source_of(row))
        for row in read_table("no_medicines").rows
    ]
    book = Codebook(
        observations={(row.system, row.code): row for row in observations},
        units={(row.of, row.written): row for row in units},
        markers={(row.kind, row.value): row for row in markers},
        timings={row.code: row for row in timings},
        no_medicines={(row.system, row.code): row for row in nothing},
    )
    read = len(observations) + len(units) + len(markers) + len(timings) + len(nothing)
    kept = len(book.observations) + len(book.units) + len(book.markers) + len(book.timings) + len(book.no_medicines)
    if read != kept:
        raise BadTable("a code of interchange is listed twice")
    return book


def _observation(row: Row, system: str) -> ObservationCode:
    return ObservationCode(
        system=system,
        code=str(row["code"]),
        measured=Measured(str(row["measured"])),
        position=Position(str(row["position"])),
        source=source_of(row),
    )


def _unit(row: Row) -> UnitRow:
    return UnitRow(
        of=str(row["of"]),
        written=str(row["written"]),
        factor=decimal_of(row, "factor"),
        only_for=words_of(row, "only_for"),
        source=source_of(row),
    )


def _marker(row: Row) -> Marker:
    return Marker(
        kind=MarkerKind(str(row["kind"])),
        value=str(row["value"]),
        setting=Setting(str(row["setting"])) if row["setting"] else None,
        method=Method(str(row["method"])) if row["method"] else None,
        source=source_of(row),
    )
