"""The formulary: which drugs may be titrated, in which steps, and what else is recognised.

Rules
 * Doses are total milligrams a day. A ladder is ordered; one step is the next rung (CLINICAL 1.6, step semantics).
 * No rung lies above the guideline maximum, which is the hard ceiling; the label maximum is only shown.
 * A drug is recognised by its code, never by its name. A code on no list is unknown, and so are combination products.
 * Where an ingredient has forms that are not interchangeable (metoprolol, nifedipine), a rung needs the product too.
 * A dose that is on no rung has no position: it is named, never rounded to a neighbour (N2).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from .domain.provenance import Mark, Source
from .domain.record import DrugClass, DrugTaken, Regimen
from .domain.units import Milligrams


class TermType(StrEnum):
    """What an RxNorm product code names: a product, a brand of it, or only ingredient and strength."""

    SCD = "SCD"
    SBD = "SBD"
    SCDC = "SCDC"


class LowStartFact(StrEnum):
    """Facts that ask for the lower start dose (CLINICAL 1.6)."""

    ON_DIURETIC = "on_diuretic"
    EGFR_BELOW = "egfr_below"
    VOLUME_DEPLETION = "volume_depletion"
    AGE_FROM = "age_from"
    FRAILTY = "frailty"


@dataclass(frozen=True, slots=True)
class LowStart:
    """A fact that asks for the lower start, with its number where it has one (mL/min/1.73 m², years)."""

    fact: LowStartFact
    limit: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.limit is not None) != (self.fact in (LowStartFact.EGFR_BELOW, LowStartFact.AGE_FROM)):
            raise ValueError(f"{self.fact}: a limit where there is none, or none where there must be")


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: the total daily dose, and how it is taken."""

    daily_dose: Milligrams
    product: str  # RxNorm SCD
    product_strength: Milligrams
    units_per_intake: Decimal
    intakes_per_day: int
    source: Source

    def __post_init__(self) -> None:
        taken = self.product_strength.value * self.units_per_intake * self.intakes_per_day
        if taken != self.daily_dose.value:
            raise ValueError(f"{self.product}: {taken} mg a day is taken, {self.daily_dose.value} is written")


@dataclass(frozen=True, slots=True)
class Drug:
    """A drug that may be titrated. `low_start` is `None` where the ladder has no lower start."""

    ingredient: str
    name: str
    drug_class: DrugClass
    atc: str
    steps: tuple[Step, ...]
    start: Milligrams
    low_start: Milligrams | None
    low_start_when: tuple[LowStart, ...]
    guideline_max: Milligrams
    label_max: Milligrams
    product_required: bool
    ingredient_mark: Mark
    atc_mark: Mark
    start_citation: str
    source: Source

    def __post_init__(self) -> None:
        doses = [step.daily_dose for step in self.steps]
        if not doses or doses != sorted(set(doses)):
            raise ValueError(f"{self.name}: rungs must rise")
        if doses[-1] > self.guideline_max or self.guideline_max > self.label_max:
            raise ValueError(f"{self.name}: ladder, guideline maximum and label maximum must not cross")
        if self.start not in doses or (self.low_start is not None and self.low_start not in doses):
            raise ValueError(f"{self.name}: a start dose must be on the ladder")

    def step_at(self, daily_dose: Milligrams) -> Step | None:
        """The rung of exactly this total daily dose."""
        return next((step for step in self.steps if step.daily_dose == daily_dose), None)

    def step_above(self, daily_dose: Milligrams) -> Step | None:
        """The lowest rung over this dose; `None` at the top."""
        return next((step for step in self.steps if step.daily_dose > daily_dose), None)

    def step_below(self, daily_dose: Milligrams) -> Step | None:
        """The highest rung under this dose; `None` at the bottom."""
        return next((step for step in reversed(self.steps) if step.daily_dose < daily_dose), None)


@dataclass(frozen=True, slots=True)
class OtherDrug:
    """An ingredient that is known and never titrated here."""

    ingredient: str
    name: str
    drug_class: DrugClass
    lowers_pressure: bool
    stop_by_taper: bool
    source: Source


@dataclass(frozen=True, slots=True)
class Product:
    """A product code: its one ingredient and strength. `ladder_product` is the rung's SCD that it is taken for."""

    code: str
    term_type: TermType
    ingredient: str
    strength: Milligrams
    name: str
    ladder_product: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a code stands for. `strength` is per unit (tablet), `None` when the code names an ingredient only."""

    ingredient: str
    name: str
    drug_class: DrugClass
    titrated: bool
    product: str | None
    strength: Milligrams | None


def position(drug: Drug, daily_dose: Milligrams) -> int | None:
    """Index of the rung with exactly this total daily dose, or `None`: then the dose is on no rung."""
    return next((i for i, step in enumerate(drug.steps) if step.daily_dose == daily_dose), None)


@dataclass(frozen=True, slots=True)
class Formulary:
    """Every drug that is recognised."""

    titrated: tuple[Drug, ...]
    others: tuple[OtherDrug, ...]
    products: tuple[Product, ...]

    def __post_init__(self) -> None:
        ingredients = [d.ingredient for d in self.titrated] + [o.ingredient for o in self.others]
        if len(ingredients) != len(set(ingredients)):
            raise ValueError("an ingredient is listed twice")
        codes = [p.code for p in self.products]
        if len(codes) != len(set(codes)):
            raise ValueError("a product is listed twice")
        unlisted = [p.code for p in self.products if p.ingredient not in ingredients]
        if unlisted:
            raise ValueError(f"products of unlisted ingredients: {unlisted}")

    def drug(self, ingredient: str | None) -> Drug | None:
        """The drug that may be titrated, by RxNorm IN."""
        return next((d for d in self.titrated if d.ingredient == ingredient), None)

    def other(self, ingredient: str | None) -> OtherDrug | None:
        """The known drug that is never titrated, by RxNorm IN."""
        return next((o for o in self.others if o.ingredient == ingredient), None)

    def recognise(self, code: str) -> Recognised | None:
        """What an RxNorm code (SCD, SBD, SCDC or IN) stands for; `None` when it is unknown, which is an answer."""
        product = next((p for p in self.products if p.code == code), None)
        ingredient = product.ingredient if product else code
        known = self.drug(ingredient) or self.other(ingredient)
        if known is None:
            return None
        return Recognised(
            ingredient=known.ingredient,
            name=known.name,
            drug_class=known.drug_class,
            titrated=isinstance(known, Drug),
            product=product.code if product else None,
            strength=product.strength if product else None,
        )

    def lowers_pressure(self, ingredient: str) -> bool:
        """Whether a recognised drug is given to lower pressure."""
        other = self.other(ingredient)
        return self.drug(ingredient) is not None or (other is not None and other.lowers_pressure)

    def position_of(self, taken: DrugTaken) -> int | None:
        """The rung a drug in the regimen stands on; `None` when it is not titrated, or is on no rung."""
        drug = self.drug(taken.ingredient)
        if drug is None or taken.daily_dose is None:
            return None
        if drug.product_required and self._ladder_product(taken.product) not in {s.product for s in drug.steps}:
            return None
        return position(drug, taken.daily_dose)

    def _ladder_product(self, code: str | None) -> str | None:
        product = next((p for p in self.products if p.code == code), None)
        return product.ladder_product if product else None

    def unplaced(self, regimen: Regimen) -> tuple[str, ...]:
        """Names of the drugs that may be titrated whose dose is not known or on no rung: with them no increase."""
        return tuple(
            taken.name
            for taken in regimen.drugs
            if self.drug(taken.ingredient) is not None and self.position_of(taken) is None
        )

    def reference_rows(self) -> tuple[tuple[str, ...], ...]:
        """For the generated reference: class, drug, code, steps, start, guideline maximum, label maximum, source."""
        head = ("class", "drug", "RxNorm", "steps mg/day", "start", "guideline max", "label max", "mark", "source")
        return (head, *(_row(drug) for drug in self.titrated))


def _row(drug: Drug) -> tuple[str, ...]:
    low = f" (low {drug.low_start.value})" if drug.low_start else ""
    return (
        drug.drug_class.value,
        drug.name,
        drug.ingredient,
        " - ".join(str(step.daily_dose.value) for step in drug.steps),
        f"{drug.start.value}{low}",
        str(drug.guideline_max.value),
        str(drug.label_max.value),
        drug.source.mark.value,
        drug.source.citation,
    )
