"""Tables of averaging, plausibility, sentinels, visits and alignment, read from their files.

Rules
 * A rule of averaging is complete or it does not load: a field without a row is a bug (`BadTable`).
 * Each value keeps its citation and mark, so that the reference can print them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache

from ...alignment import AlignmentRule
from ...averaging import AveragingRule, SessionBy
from ...domain.provenance import Cited
from ...domain.readings import Flag, Method, Position, Setting, Status
from ...domain.units import MmHg
from ...plausibility import Place, PlausibilityLimits, Sentinel
from ...visits import VisitRule
from .tables_therapy import BadTable, Row, Table, read_table, source_of, words_of

_YES_NO = {"yes": True, "no": False}


def averaging_rules() -> Mapping[str, AveragingRule]:
    """Every rule of averaging by name."""
    return _averaging_rules()


def averaging_rule(name: str) -> AveragingRule:
    """A rule of averaging by name; `KeyError` where there is none."""
    return _averaging_rules()[name]


@cache
def plausibility_limits(name: str) -> PlausibilityLimits:
    """Limits by name ("home", "office"), with the sentinels."""
    table = read_table("plausibility")
    rows = _named(table, "limits")[name]
    return PlausibilityLimits(
        name=name,
        version=table.ref.version,
        sentinels=sentinels(),
        rows=tuple(rows.values()),
        **{row: Decimal(cited.value) for row, cited in rows.items()},
    )


@cache
def sentinels() -> tuple[Sentinel, ...]:
    """What devices write instead of a number."""
    return tuple(_sentinel(row) for row in read_table("sentinels").rows)


@cache
def visit_rule() -> VisitRule:
    """How the next visit is found."""
    table = read_table("visits")
    rows = {str(row["row"]): _cited(row) for row in table.rows}
    days = {row: int(cited.value) for row, cited in rows.items() if cited.unit == "d"}
    return VisitRule(version=table.ref.version, swing=MmHg.of(rows["swing"].value), rows=tuple(rows.values()), **days)


@cache
def alignment_rule() -> AlignmentRule:
    """How readings, activity and intake are joined."""
    table = read_table("alignment")
    rows = {str(row["row"]): _cited(row) for row in table.rows}
    return AlignmentRule(
        version=table.ref.version,
        tolerance=timedelta(minutes=int(rows["tolerance"].value)),
        effort=Decimal(rows["effort"].value),
        rest_after=timedelta(minutes=int(rows["rest_after"].value)),
        rows=tuple(rows.values()),
    )


def reference_rows() -> tuple[tuple[str, str, Cited], ...]:
    """Every value of averaging and plausibility as (table, set, row), for pages that are generated."""
    rules = [("averaging", rule.name, row) for rule in averaging_rules().values() for row in rule.rows]
    limits = [("plausibility", name, row) for name in ("home", "office") for row in plausibility_limits(name).rows]
    none = [("sentinels", one.place.value, replace(one.row, row=one.compare)) for one in sentinels()]
    return (*rules, *limits, *none)


@cache
def _averaging_rules() -> dict[str, AveragingRule]:
    table = read_table("averaging_rules")
    return {name: _rule(name, table.ref.version, rows) for name, rows in _named(table, "rule").items()}


def _rule(name: str, version: str, rows: Mapping[str, Cited]) -> AveragingRule:
    def word(row: str) -> str:
        if row not in rows:
            raise BadTable(f"averaging_rules, {name}: no row {row}")
        return rows[row].value

    def words(row: str) -> list[str]:
        return word(row).split()

    return AveragingRule(
        name=name,
        version=version,
        methods=tuple(Method(w) for w in words("methods")),
        setting=Setting(word("setting")),
        device_validated=_YES_NO[word("device_validated")],
        statuses=tuple(Status(w) for w in words("statuses")),
        excluded_positions=tuple(Position(w) for w in words("excluded_positions")),
        excluded_flags=tuple(Flag(w) for w in words("excluded_flags")),
        plausibility=word("plausibility"),
        window_days=None if word("window_days") == "none" else int(word("window_days")),
        settle_days=int(word("settle_days")),
        discard_first_day=_YES_NO[word("discard_first_day")],
        discard_first_reading=_YES_NO[word("discard_first_reading")],
        session_by=SessionBy(word("session_by")),
        session_readings=int(word("session_readings")),
        session_readings_af=int(word("session_readings_af")),
        gap_seconds=int(word("gap_seconds")),
        min_days=int(word("min_days")),
        min_readings=int(word("min_readings")),
        morning_and_evening=_YES_NO[word("morning_and_evening")],
        rows=tuple(rows.values()),
    )


def _named(table: Table, key: str) -> dict[str, dict[str, Cited]]:
    """Rows of a table of named sets: set, then row."""
    sets: dict[str, dict[str, Cited]] = {}
    for row in table.rows:
        rows = sets.setdefault(str(row[key]), {})
        if str(row["row"]) in rows:
            raise BadTable(f"{table.ref.name}: {row[key]}, {row['row']} stands twice")
        rows[str(row["row"])] = _cited(row)
    return sets


def _cited(row: Row) -> Cited:
    return Cited(row=str(row["row"]), value=str(row["value"]), unit=str(row["unit"]), source=source_of(row))


def _sentinel(row: Row) -> Sentinel:
    place, values = Place(str(row["place"])), words_of(row, "values")
    cited = Cited(row=f"sentinel.{place}", value=" ".join(values), unit=str(row["unit"]), source=source_of(row))
    return Sentinel(place, str(row["compare"]), tuple(Decimal(v) for v in values), cited)
