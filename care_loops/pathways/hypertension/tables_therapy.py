"""The therapy tables of the hypertension pathway: what may be proposed, what speaks against it, how far it may go.

Each function reads its files once and gives typed values; `table_refs` names the bytes they came from.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from ...candidates import IntakeTime, NextClass, Rulebook, Taper
from ...contraindications import Allergens, Contraindication, ContraindicationTable, Group, Interaction, Predicate
from ...domain.changes import ChangeKind, Severity
from ...domain.provenance import TableRef
from ...domain.record import ConditionKind, DrugClass, SymptomKind
from ...domain.units import MmHg
from ...drugs import Formulary
from ...guardrails import Limit, Limits
from ...lab_rules import LabRules, Number
from ...protocol import ProtocolTable
from .table_files import BadTable, Row, Rows, Table, count_of, decimal_of, parse_table, read_table, source_of, words_of
from .tables_drugs import coded_conditions, formulary

__all__ = [
    "TABLES",
    "BadTable",
    "Row",
    "Table",
    "coded_conditions",
    "contraindications",
    "count_of",
    "decimal_of",
    "formulary",
    "lab_rules",
    "limits",
    "parse_table",
    "protocols",
    "read_table",
    "rulebook",
    "source_of",
    "table_refs",
    "titration_numbers",
    "words_of",
]


def _severity(word: object) -> Severity | None:
    return None if word is None else Severity(str(word))


def _limit(row: Row, key: str) -> Decimal | None:
    return None if row[key] is None else decimal_of(row, key)


def _contraindication(row: Row) -> Contraindication:
    return Contraindication(
        row_id=str(row["id"]),
        classes=tuple(DrugClass(word) for word in words_of(row, "classes")),
        ingredients=words_of(row, "ingredients"),
        kinds=tuple(ChangeKind(word) for word in words_of(row, "kinds")),
        predicate=Predicate(str(row["predicate"])),
        argument=None if row["argument"] is None else str(row["argument"]),
        limit=_limit(row, "limit"),
        limit_not_male=_limit(row, "limit_not_male"),
        severity=Severity(str(row["severity"])),
        when_unknown=_severity(row["when_unknown"]),
        patient_path_never=row["patient_path_never"] is True,
        words=str(row["words"]),
        source=source_of(row),
    )


def _group(group: Row) -> Group:
    return Group(
        classes=tuple(DrugClass(word) for word in words_of(group, "classes")),
        ingredients=words_of(group, "ingredients"),
        dose_over=_limit(group, "dose_over_mg"),
    )


def _interaction(row: Row) -> Interaction:
    groups = row["groups"]
    if not isinstance(groups, list) or len(groups) < 2:
        raise BadTable(f"{row['id']}: an interaction has at least two sides")
    return Interaction(
        row_id=str(row["id"]),
        groups=tuple(_group(group) for group in groups),
        condition=None if row["condition"] is None else ConditionKind(str(row["condition"])),
        severity=Severity(str(row["severity"])),
        words=str(row["words"]),
        source=source_of(row),
    )


def build_contraindications(*, rows: Rows, interactions: Rows, known: Formulary) -> ContraindicationTable:
    """What can speak against a change, of the rows of its tables. Raises `BadTable` where an id is used twice."""
    pairs = [(drug.ingredient, drug.drug_class) for drug in known.titrated]
    pairs += [(other.ingredient, other.drug_class) for other in known.others]
    table = ContraindicationTable(
        rows=tuple(_contraindication(row) for row in rows),
        interactions=tuple(_interaction(row) for row in interactions),
        allergens=Allergens(tuple(pairs)),
    )
    ids = [row.row_id for row in table.rows] + [row.row_id for row in table.interactions]
    if len(ids) != len(set(ids)):
        raise BadTable("contraindications: a row id is used twice")
    return table


@cache
def contraindications() -> ContraindicationTable:
    """What can speak against a change of this pathway's drugs."""
    return build_contraindications(
        rows=read_table("contraindications").rows, interactions=read_table("interactions").rows, known=formulary()
    )


@cache
def lab_rules() -> LabRules:
    """The numbers of the laboratory rules."""
    return build_lab_rules(read_table("lab_rules").rows)


def build_lab_rules(rows: Rows) -> LabRules:
    """The numbers of the rows. Raises `BadTable` where one is written twice, `TypeError` where one is missing."""
    numbers = {
        str(row["parameter"]): Number(
            rule=str(row["rule"]),
            value=decimal_of(row, "value"),
            unit=str(row["unit"]),
            words=str(row["words"]),
            source=source_of(row),
        )
        for row in rows
    }
    if len(numbers) != len(rows):
        raise BadTable("lab_rules: a number is written twice")
    return LabRules(**numbers)


def _about(table: Table, about: str) -> list[Row]:
    return [row for row in table.rows if row["about"] == about]


@cache
def titration_numbers() -> dict[str, Decimal]:
    """The single numbers of the titration protocols, by parameter."""
    return {
        str(row["parameter"]): decimal_of(row, "value") for row in _about(read_table("titration_protocols"), "number")
    }


def _next_class(row: Row) -> NextClass:
    return NextClass(DrugClass(str(row["drug_class"])), str(row["ingredient"]), source_of(row))


def site_order(places: list[Row]) -> tuple[NextClass, ...]:
    """The order in which classes are begun. Raises `BadTable` unless places are numbered from 0, in order."""
    if [count_of(row, "position") for row in places] != list(range(len(places))):
        raise BadTable("titration_protocols: places must be numbered from 0, in order")
    return tuple(_next_class(row) for row in places)


@cache
def rulebook() -> Rulebook:
    """The tables by which candidates are made."""
    table = read_table("titration_protocols")
    return Rulebook(
        formulary=formulary(),
        contraindications=contraindications(),
        lab_rules=lab_rules(),
        order=site_order(_about(table, "next_class")),
        tapers=tuple(
            Taper(DrugClass(str(row["drug_class"])), count_of(row, "days"), source_of(row))
            for row in _about(table, "taper")
        ),
        intake_times=tuple(
            IntakeTime(DrugClass(str(row["drug_class"])), str(row["note"]), source_of(row))
            for row in _about(table, "timing")
        ),
        adherence_percent=titration_numbers()["adherence_percent"],
    )


@cache
def protocols() -> ProtocolTable:
    """The published protocols that serve as predictors."""
    table = read_table("titration_protocols")
    numbers = titration_numbers()
    return ProtocolTable(
        windows_over_target=tuple(
            (str(row["id"]), count_of(row, "windows_over_target")) for row in _about(table, "protocol")
        ),
        low_mean=MmHg(numbers["low_mean_systolic"]),
        low_single=MmHg(numbers["low_single_systolic"]),
        patient_window_gap_days=int(numbers["patient_window_gap_days"]),
        adherence_percent=numbers["adherence_percent"],
        responses=tuple(
            (SymptomKind(str(row["symptom"])), ChangeKind(str(row["response"]))) for row in _about(table, "side_effect")
        ),
    )


@cache
def limits() -> Limits:
    """The numbers of the guardrails."""
    table = read_table("guardrails")
    rows = tuple(
        Limit(
            row_id=str(row["id"]),
            absolute=_limit(row, "absolute"),
            recommended=_limit(row, "recommended"),
            unit=str(row["unit"]),
            words=str(row["words"]),
            source=source_of(row),
        )
        for row in table.rows
    )
    return Limits(rows)


TABLES = (
    "drugs",
    "drug_steps",
    "other_drugs",
    "products",
    "conditions",
    "contraindications",
    "interactions",
    "lab_rules",
    "titration_protocols",
    "guardrails",
)


def table_refs() -> tuple[TableRef, ...]:
    """Name, version and digest of every therapy table in force, for the frozen evidence."""
    return tuple(read_table(name).ref for name in TABLES)
