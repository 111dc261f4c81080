"""The tables of drugs and of coded conditions of the hypertension pathway."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from ...conditions import CodedCondition, CodeSystem
from ...domain.provenance import Mark
from ...domain.record import ConditionKind, DrugClass, Pregnancy
from ...domain.units import Milligrams
from ...drugs import Drug, Formulary, LowStart, LowStartFact, OtherDrug, Product, Step, TermType
from .table_files import BadTable, Row, Rows, count_of, decimal_of, read_table, source_of, words_of


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


def _low_start(text: str) -> LowStart:
    fact, _, limit = text.partition(" ")
    return LowStart(LowStartFact(fact), Decimal(limit) if limit else None)


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
        low_start_when=tuple(_low_start(word) for word in words_of(row, "low_start_when")),
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


def build_formulary(*, drugs: Rows, steps: Rows, others: Rows, products: Rows) -> Formulary:
    """The formulary of the rows of its four tables. Raises `BadTable` where they do not fit together."""
    titrated = tuple(_drug(row, [rung for rung in steps if rung["ingredient"] == row["ingredient"]]) for row in drugs)
    if {rung["ingredient"] for rung in steps} != {drug.ingredient for drug in titrated}:
        raise BadTable("drug_steps: rungs of a drug that is not listed")
    return Formulary(
        titrated=titrated,
        others=tuple(_other(row) for row in others),
        products=(*_ladder_products(titrated).values(), *(_product(row) for row in products)),
    )


@cache
def formulary() -> Formulary:
    """The formulary of this pathway."""
    return build_formulary(
        drugs=read_table("drugs").rows,
        steps=read_table("drug_steps").rows,
        others=read_table("other_drugs").rows,
        products=read_table("products").rows,
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
