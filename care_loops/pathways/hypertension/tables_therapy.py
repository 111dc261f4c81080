"""The therapy tables of the hypertension pathway, read from their files and checked row by row.

Rules
 * A table has a name, a version and rows; each row has a citation and a mark, or the table does not load.
 * The digest is SHA-256 over the bytes of the file: what a recommendation keeps of the tables in force.
 * Numbers are written as text and read as `Decimal`; none passes through binary floating point.
 * A file that is wrong is a bug: it raises `BadTable` and nothing starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files

from ...conditions import CodedCondition, CodeSystem
from ...contraindications import Allergens, Contraindication, ContraindicationTable, Group, Interaction, Predicate
from ...domain.changes import ChangeKind, Severity
from ...domain.provenance import Mark, Source, TableRef
from ...domain.record import ConditionKind, DrugClass, Pregnancy
from ...domain.units import Milligrams
from ...drugs import Drug, Formulary, LowStartFact, OtherDrug, Product, Step, TermType
from ...lab_rules import LabRules, Number

Row = Mapping[str, object]


class BadTable(ValueError):
    """A table that cannot be trusted: no citation, no mark, no version, a word outside its vocabulary."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read: which bytes, the note for its readers, and the rows."""

    ref: TableRef
    note: str
    rows: tuple[Row, ...]


def parse_table(name: str, data: bytes) -> Table:
    """Read one table from bytes and check what all tables must have. Raises `BadTable`."""
    document = json.loads(data, parse_float=_no_floats)
    if document.get("table") != name or not document.get("version") or not document.get("note"):
        raise BadTable(f"{name}: a table says its name, its version and what it is")
    rows = document.get("rows")
    if not isinstance(rows, list) or not rows:
        raise BadTable(f"{name}: no rows")
    for number, row in enumerate(rows, start=1):
        if not row.get("citation") or row.get("mark") not in set(Mark):
            raise BadTable(f"{name}, row {number}: a row needs a citation and a mark")
    digest = hashlib.sha256(data).hexdigest()
    return Table(ref=TableRef(name, str(document["version"]), digest), note=str(document["note"]), rows=tuple(rows))


def _no_floats(text: str) -> object:
    raise BadTable(f"{text}: write numbers as text")


@cache
def read_table(name: str) -> Table:
    """Read `data/<name>.json` of this pathway."""
    return parse_table(name, (files(__package__) / "data" / f"{name}.json").read_bytes())


def source_of(row: Row) -> Source:
    """Citation and mark of a row."""
    return Source(citation=str(row["citation"]), mark=Mark(str(row["mark"])))


def decimal_of(row: Row, key: str) -> Decimal:
    """A number of a row, which is written as text."""
    value = row[key]
    if not isinstance(value, str):
        raise BadTable(f"{key}: write numbers as text, not {value!r}")
    return Decimal(value)


def count_of(row: Row, key: str) -> int:
    """A whole number of a row."""
    value = row[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadTable(f"{key}: a whole number is needed, not {value!r}")
    return value


def words_of(row: Row, key: str) -> tuple[str, ...]:
    """A list of words of a row."""
    value = row[key]
    if not isinstance(value, list):
        raise BadTable(f"{key}: a list is needed, not {value!r}")
    return tuple(str(word) for word in value)


def _mg(row: Row, key: str) -> Milligrams:
    return Milligrams(decimal_of(row, key))


def _step(row: Row) -> Step:
    return Step(
        daily_dose=_mg(row, "daily_dose_mg"),
        product=str(row["product"]),
        product_strength=_mg(row, "product_strength_mg"),
        units_per_intake=decimal_of(row, "units_per_intake"),
        intakes_per_day=count_of(row, "intakes_per_day"),
        source=source_of(row),
    )


def _drug(row: Row, ladder: list[Row]) -> Drug:
    if [count_of(step, "position") for step in ladder] != list(range(len(ladder))):
        raise BadTable(f"{row['name']}: rungs must be numbered from 0, in order")
    return Drug(
        ingredient=str(row["ingredient"]),
        name=str(row["name"]),
        drug_class=DrugClass(str(row["drug_class"])),
        atc=str(row["atc"]),
        steps=tuple(_step(step) for step in ladder),
        start=_mg(row, "start_mg"),
        low_start=None if row["low_start_mg"] is None else _mg(row, "low_start_mg"),
        low_start_when=tuple(LowStartFact(word) for word in words_of(row, "low_start_when")),
        guideline_max=_mg(row, "guideline_max_mg"),
        label_max=_mg(row, "label_max_mg"),
        product_required=row["product_required"] is True,
        ingredient_mark=Mark(str(row["ingredient_mark"])),
        atc_mark=Mark(str(row["atc_mark"])),
        start_citation=str(row["start_citation"]),
        source=source_of(row),
    )


def _other(row: Row) -> OtherDrug:
    return OtherDrug(
        ingredient=str(row["ingredient"]),
        name=str(row["name"]),
        drug_class=DrugClass(str(row["drug_class"])),
        lowers_pressure=row["lowers_pressure"] is True,
        stop_by_taper=row["stop_by_taper"] is True,
        source=source_of(row),
    )


def _product(row: Row) -> Product:
    ladder = row["ladder_product"]
    return Product(
        code=str(row["product"]),
        term_type=TermType(str(row["term_type"])),
        ingredient=str(row["ingredient"]),
        strength=_mg(row, "strength_mg"),
        name=str(row["name"]),
        ladder_product=None if ladder is None else str(ladder),
        source=source_of(row),
    )


def _ladder_products(drugs: tuple[Drug, ...]) -> dict[str, Product]:
    """Every product of every rung, once each: the rung's own code."""
    return {
        step.product: Product(
            code=step.product,
            term_type=TermType.SCD,
            ingredient=drug.ingredient,
            strength=step.product_strength,
            name=f"{drug.name} {step.product_strength.value} mg",
            ladder_product=step.product,
            source=step.source,
        )
        for drug in drugs
        for step in drug.steps
    }


@cache
def formulary() -> Formulary:
    """The formulary of this pathway."""
    rungs = read_table("drug_steps").rows
    titrated = tuple(
        _drug(row, [rung for rung in rungs if rung["ingredient"] == row["ingredient"]])
        for row in read_table("drugs").rows
    )
    if {rung["ingredient"] for rung in rungs} != {drug.ingredient for drug in titrated}:
        raise BadTable("drug_steps: rungs of a drug that is not listed")
    return Formulary(
        titrated=titrated,
        others=tuple(_other(row) for row in read_table("other_drugs").rows),
        products=(*_ladder_products(titrated).values(), *(_product(row) for row in read_table("products").rows)),
    )


@cache
def coded_conditions() -> tuple[CodedCondition, ...]:
    """The codes by which conditions are recognised, for `conditions.recognise`."""
    return tuple(
        CodedCondition(
            system=CodeSystem(str(row["system"])),
            code=str(row["code"]),
            prefix=row["prefix"] is True,
            condition=None if row["condition"] is None else ConditionKind(str(row["condition"])),
            pregnancy=None if row["pregnancy"] is None else Pregnancy(str(row["pregnancy"])),
            source=source_of(row),
        )
        for row in read_table("conditions").rows
    )


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


@cache
def contraindications() -> ContraindicationTable:
    """What can speak against a change of this pathway's drugs."""
    known = formulary()
    pairs = [(drug.ingredient, drug.drug_class) for drug in known.titrated]
    pairs += [(other.ingredient, other.drug_class) for other in known.others]
    table = ContraindicationTable(
        rows=tuple(_contraindication(row) for row in read_table("contraindications").rows),
        interactions=tuple(_interaction(row) for row in read_table("interactions").rows),
        allergens=Allergens(tuple(pairs)),
    )
    ids = [row.row_id for row in table.rows] + [row.row_id for row in table.interactions]
    if len(ids) != len(set(ids)):
        raise BadTable("contraindications: a row id is used twice")
    return table


@cache
def lab_rules() -> LabRules:
    """The numbers of the laboratory rules."""
    rows = read_table("lab_rules").rows
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
