"""The danger table, its windows and the escalation clock, read from their files.

Rules
 * A rule that names a row that does not exist, or a word outside its vocabulary, does not load (`BadTable`).
 * Thresholds are text in the file and `Decimal` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache

from ...danger.table import (
    COMPARE,
    Component,
    DangerRule,
    DangerTable,
    DangerWindows,
    Effects,
    Population,
    Test,
    When,
)
from ...domain.alerts import AlertKind, AlertSeverity, Ask, EscalationStep, Scope
from ...domain.provenance import Cited
from ...domain.record import DrugClass, LabKind, SymptomKind
from .tables_readings import sentinels
from .tables_therapy import BadTable, Row, count_of, decimal_of, read_table, source_of, words_of

_LAB_RULES = (When.LAB, When.LAB_RISE_PERCENT, When.LAB_FALL_PERCENT)


@cache
def danger_table() -> DangerTable:
    """The table in force."""
    table = read_table("danger")
    rules = tuple(_rule(row) for row in table.rows)
    names = [rule.rule for rule in rules]
    unknown = {name for rule in rules for name in rule.of} - set(names)
    if len(set(names)) != len(names) or unknown:
        raise BadTable(f"danger: rows named twice, or named but not there: {sorted(unknown)}")
    return DangerTable(
        version=table.ref.version,
        rules=rules,
        windows=_windows(),
        sentinels=sentinels(),
        escalation=_escalation(),
    )


def _rule(row: Row) -> DangerRule:
    when = When(str(row["when"]))
    return DangerRule(
        rule=str(row["rule"]),
        kind=AlertKind(str(row["kind"])),
        when=when,
        population=Population(str(row["population"])),
        test=_test(row["test"], when),
        guard=_test(row["guard"], when),
        of=words_of(row, "of"),
        symptoms=tuple(SymptomKind(word) for word in words_of(row, "symptoms")),
        drug_classes=tuple(DrugClass(word) for word in words_of(row, "drug_classes")),
        unknown_drugs_count=_yes(row, "unknown_drugs_count"),
        at_rest=_yes(row, "at_rest"),
        within_days=count_of(row, "within_days"),
        consecutive=_yes(row, "consecutive"),
        effects=Effects(
            severity=AlertSeverity(str(row["severity"])),
            page=_yes(row, "page"),
            lock=_yes(row, "lock"),
            bars=frozenset(Scope(word) for word in words_of(row, "bars")),
            same_day_item=_yes(row, "same_day_item"),
            asks=tuple(Ask(word) for word in words_of(row, "asks")),
        ),
        source=source_of(row),
    )


def _test(cell: object, when: When) -> Test | None:
    if cell is None:
        return None
    if not isinstance(cell, Mapping) or cell["compare"] not in COMPARE:
        raise BadTable(f"danger: not a boundary: {cell!r}")
    word = str(cell["component"])
    return Test(
        component=LabKind(word) if when in _LAB_RULES else Component(word),
        compare=str(cell["compare"]),
        value=decimal_of(cell, "value"),
        when_absent=_yes(cell, "when_absent"),
    )


def _windows() -> DangerWindows:
    rows = read_table("danger_windows").rows
    cited = tuple(Cited(str(r["row"]), str(r["value"]), str(r["unit"]), source_of(r)) for r in rows)
    return DangerWindows(**{one.row: Decimal(one.value) for one in cited}, rows=cited)


def _escalation() -> Mapping[AlertSeverity, tuple[EscalationStep, ...]]:
    ladder: dict[AlertSeverity, list[EscalationStep]] = {}
    for row in read_table("escalation").rows:
        step = EscalationStep(after_minutes=count_of(row, "after_minutes"), role=str(row["role"]))
        ladder.setdefault(AlertSeverity(str(row["severity"])), []).append(step)
    return {severity: tuple(sorted(steps, key=lambda s: s.after_minutes)) for severity, steps in ladder.items()}


def _yes(row: Mapping[str, object], key: str) -> bool:
    value = row[key]
    if not isinstance(value, bool):
        raise BadTable(f"{key}: true or false is needed, not {value!r}")
    return value
