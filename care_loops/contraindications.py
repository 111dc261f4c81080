"""What speaks against a change of regimen: contraindications and interactions, row by row (CLINICAL 1.7).

Rules
 * The rows are data. Here is only the closed vocabulary in which they are written: one predicate, one question.
 * A question that the record cannot answer is answered `None`, and the row says how that binds. None means no default.
 * Every row that holds speaks; none silences another.
 * A reduction or a stop is never spoken against (N3). A change of timing only where the whole pathway is closed.
 * Pregnancy, and six weeks after it, stops every class (CLINICAL 1.3 C13).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from .domain.changes import Change, ChangeKind, Severity, Spoken
from .domain.provenance import Source
from .domain.record import ConditionKind, DrugClass, DrugTaken, LabKind, Pregnancy, Sex
from .domain.situation import Situation

# What lowers pressure, for counting drugs: CLINICAL 1.6 and the other antihypertensives of 1.7.
PRESSURE_CLASSES = frozenset(DrugClass) - {
    DrugClass.POTASSIUM_SUPPLEMENT,
    DrugClass.NSAID,
    DrugClass.LITHIUM,
    DrugClass.TRIMETHOPRIM,
    DrugClass.STATIN,
    DrugClass.CYP3A4_INHIBITOR,
    DrugClass.OTHER,
}
SLOWS_THE_HEART = frozenset({DrugClass.BETA_BLOCKER, DrugClass.NON_DHP_CCB})


class Predicate(StrEnum):
    """The questions a row can ask. A new one needs its function in `PREDICATES`."""

    PREGNANT_OR_POSTPARTUM = "pregnant_or_postpartum"
    MAY_BE_PREGNANT = "may_be_pregnant"
    HAS_CONDITION = "has_condition"
    AGE_BELOW = "age_below"
    AGE_FROM = "age_from"
    IN_DANGER = "in_danger"
    REGIMEN_NOT_FULLY_KNOWN = "regimen_not_fully_known"
    SIDE_EFFECT_REPORTED = "side_effect_reported"
    ALLERGIC_TO_THIS = "allergic_to_this"
    ALLERGIC_TO_CLASS = "allergic_to_class"
    ALLERGIC_TO_ANY = "allergic_to_any"
    PRESSURE_DRUGS_FROM = "pressure_drugs_from"
    LAB_ABOVE = "lab_above"
    LAB_BELOW = "lab_below"
    CREATININE_ABOVE = "creatinine_above"
    DIABETES_WITH_UACR_FROM = "diabetes_with_uacr_from"
    PULSE_BELOW = "pulse_below"
    PULSE_BELOW_WHILE_SLOWED = "pulse_below_while_slowed"
    CLASS_STOPPED_WITHIN_HOURS = "class_stopped_within_hours"


@dataclass(frozen=True, slots=True)
class Contraindication:
    """One row of CLINICAL 1.7. Empty `classes` or `ingredients` mean any."""

    row_id: str
    classes: tuple[DrugClass, ...]
    ingredients: tuple[str, ...]
    kinds: tuple[ChangeKind, ...]
    predicate: Predicate
    argument: str | None
    limit: Decimal | None
    limit_not_male: Decimal | None
    severity: Severity
    when_unknown: Severity | None
    patient_path_never: bool
    words: str
    source: Source

    def __post_init__(self) -> None:
        if any(kind.reduces or kind is ChangeKind.STAY for kind in self.kinds):
            raise ValueError(f"{self.row_id}: no row speaks against a reduction, a stop or staying")

    def concerns(self, change: Change) -> bool:
        """Whether the row is about such a change at all."""
        return (
            change.kind in self.kinds
            and (not self.classes or change.drug_class in self.classes)
            and (not self.ingredients or change.ingredient in self.ingredients)
        )

    def bound(self) -> Decimal:
        """The row's number; a row whose question needs one cannot do without."""
        if self.limit is None:
            raise ValueError(f"{self.row_id}: needs a limit")
        return self.limit


@dataclass(frozen=True, slots=True)
class Allergens:
    """Ingredients of the classes, for allergies across a class: pairs of ingredient and class."""

    pairs: tuple[tuple[str, DrugClass], ...]

    def classes_of(self, allergies: tuple[str, ...]) -> frozenset[DrugClass]:
        """Classes of the ingredients a patient is allergic to."""
        return frozenset(drug_class for ingredient, drug_class in self.pairs if ingredient in allergies)


@dataclass(frozen=True, slots=True)
class Group:
    """One side of an interaction: drugs by class or by ingredient, perhaps only above a daily dose."""

    classes: tuple[DrugClass, ...]
    ingredients: tuple[str, ...]
    dose_over: Decimal | None

    def holds(self, ingredient: str | None, drug_class: DrugClass | None, dose: Decimal | None) -> bool:
        """Whether a drug belongs here; an unknown dose counts as over the limit."""
        member = drug_class in self.classes or ingredient in self.ingredients
        return member and (self.dose_over is None or dose is None or dose > self.dose_over)

    def holds_taken(self, taken: DrugTaken) -> bool:
        """Whether a drug of the regimen belongs here."""
        dose = taken.daily_dose.value if taken.daily_dose else None
        return self.holds(taken.ingredient, taken.drug_class, dose)


@dataclass(frozen=True, slots=True)
class Interaction:
    """Drugs that must not, or not without a clinician, be taken together."""

    row_id: str
    groups: tuple[Group, ...]
    condition: ConditionKind | None
    severity: Severity
    words: str
    source: Source

    def holds(self, change: Change, situation: Situation) -> bool:
        """Whether the changed drug would meet its partners."""
        if self.condition is not None and self.condition not in situation.facts.conditions:
            return False
        others = [taken for taken in situation.regimen.drugs if taken.ingredient != change.ingredient]
        dose = change.new_daily_dose.value if change.new_daily_dose else None
        return any(
            group.holds(change.ingredient, change.drug_class, dose)
            and all(any(partner.holds_taken(o) for o in others) for j, partner in enumerate(self.groups) if j != i)
            for i, group in enumerate(self.groups)
        )


@dataclass(frozen=True, slots=True)
class ContraindicationTable:
    """All that can speak against a change."""

    rows: tuple[Contraindication, ...]
    interactions: tuple[Interaction, ...]
    allergens: Allergens


def check(change: Change, situation: Situation, table: ContraindicationTable) -> tuple[Spoken, ...]:
    """Everything that speaks against the change, in the order of the table."""
    spoken = [_hear(row, change, situation, table.allergens) for row in table.rows if row.concerns(change)]
    if change.intensifies:
        spoken += [_said(row, row.severity, row.words) for row in table.interactions if row.holds(change, situation)]
    return tuple(said for said in spoken if said is not None)


def _said(row: Contraindication | Interaction, severity: Severity, words: str) -> Spoken:
    return Spoken(rule=row.row_id, severity=severity, words=words, citation=row.source.citation)


def _hear(row: Contraindication, change: Change, situation: Situation, allergens: Allergens) -> Spoken | None:
    answer = PREDICATES[row.predicate](row, change, situation, allergens)
    if answer:
        return _said(row, row.severity, row.words)
    if answer is None and row.when_unknown is not None:
        return _said(row, row.when_unknown, f"{row.words} (not known)")
    return None


# The questions. Each answers True, False, or None when the record cannot say.


def _pregnant(_r: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return s.facts.pregnancy in (Pregnancy.PREGNANT, Pregnancy.POSTPARTUM)


def _may_be_pregnant(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    if ConditionKind.CHILDBEARING_POTENTIAL in s.facts.conditions:
        return True
    young = s.facts.age_years is None or s.facts.age_years <= row.bound()
    return s.facts.sex is not Sex.MALE and young


def _has_condition(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return ConditionKind(row.argument or "") in s.facts.conditions


def _age_below(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return None if s.facts.age_years is None else s.facts.age_years < row.bound()


def _age_from(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return None if s.facts.age_years is None else s.facts.age_years >= row.bound()


def _in_danger(_r: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return s.in_danger


def _regimen_unknown(_r: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return not s.regimen.fully_known


def _side_effect(_r: Contraindication, change: Change, s: Situation, _a: Allergens) -> bool | None:
    return any(not report.reviewed and report.suspected_ingredient == change.ingredient for report in s.symptoms)


def _allergic_to_this(_r: Contraindication, change: Change, s: Situation, _a: Allergens) -> bool | None:
    return change.ingredient in s.facts.allergies


def _allergic_to_class(_r: Contraindication, change: Change, s: Situation, allergens: Allergens) -> bool | None:
    others = tuple(code for code in s.facts.allergies if code != change.ingredient)
    return change.drug_class in allergens.classes_of(others)


def _allergic_to_any(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return any(code in s.facts.allergies for code in (row.argument or "").split())


def _pressure_drugs(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return len({t.ingredient for t in s.regimen.drugs if t.drug_class in PRESSURE_CLASSES}) >= row.bound()


def _lab_above(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    lab = s.latest(LabKind(row.argument or ""))
    return None if lab is None else lab.value > row.bound()


def _lab_below(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    lab = s.latest(LabKind(row.argument or ""))
    return None if lab is None else lab.value < row.bound()


def _creatinine_above(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    """Between the two limits sex decides; where the record does not say it, the answer is not known."""
    lab = s.latest(LabKind.CREATININE)
    if row.limit is None or row.limit_not_male is None:
        raise ValueError(f"{row.row_id}: needs both limits")
    if lab is None:
        return False  # a missing result is refused by the lab rules
    for_men, for_others = lab.value > row.limit, lab.value > row.limit_not_male
    if s.facts.sex is Sex.UNKNOWN:
        return for_men if for_men == for_others else None
    return for_men if s.facts.sex is Sex.MALE else for_others


def _diabetes_with_uacr(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    if ConditionKind.DIABETES not in s.facts.conditions:
        return False
    lab = s.latest(LabKind.UACR)
    return None if lab is None else lab.value >= row.bound()


def _pulse_below(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    return None if s.pulse is None else s.pulse.value < row.bound()


def _pulse_below_slowed(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    slowed = any(taken.drug_class in SLOWS_THE_HEART for taken in s.regimen.drugs)
    return slowed and (None if s.pulse is None else s.pulse.value < row.bound())


def _class_stopped(row: Contraindication, _c: Change, s: Situation, _a: Allergens) -> bool | None:
    drug_class, since = DrugClass(row.argument or ""), s.as_of - timedelta(hours=float(row.bound()))
    return any(p.drug_class is drug_class and p.steps < 0 and p.effective_at > since for p in s.past_changes)


Question = Callable[[Contraindication, Change, Situation, Allergens], bool | None]

PREDICATES: dict[Predicate, Question] = {
    Predicate.PREGNANT_OR_POSTPARTUM: _pregnant,
    Predicate.MAY_BE_PREGNANT: _may_be_pregnant,
    Predicate.HAS_CONDITION: _has_condition,
    Predicate.AGE_BELOW: _age_below,
    Predicate.AGE_FROM: _age_from,
    Predicate.IN_DANGER: _in_danger,
    Predicate.REGIMEN_NOT_FULLY_KNOWN: _regimen_unknown,
    Predicate.SIDE_EFFECT_REPORTED: _side_effect,
    Predicate.ALLERGIC_TO_THIS: _allergic_to_this,
    Predicate.ALLERGIC_TO_CLASS: _allergic_to_class,
    Predicate.ALLERGIC_TO_ANY: _allergic_to_any,
    Predicate.PRESSURE_DRUGS_FROM: _pressure_drugs,
    Predicate.LAB_ABOVE: _lab_above,
    Predicate.LAB_BELOW: _lab_below,
    Predicate.CREATININE_ABOVE: _creatinine_above,
    Predicate.DIABETES_WITH_UACR_FROM: _diabetes_with_uacr,
    Predicate.PULSE_BELOW: _pulse_below,
    Predicate.PULSE_BELOW_WHILE_SLOWED: _pulse_below_slowed,
    Predicate.CLASS_STOPPED_WITHIN_HOURS: _class_stopped,
}


def reference_rows(table: ContraindicationTable) -> tuple[tuple[str, ...], ...]:
    """For the generated reference: row, about what, how it binds, the words, mark and source."""
    head = ("row", "about", "binds", "words", "mark", "source")
    single = (
        (
            row.row_id,
            ", ".join(row.classes or ("any class",)),
            row.severity.value,
            row.words,
            row.source.mark.value,
            row.source.citation,
        )
        for row in table.rows
    )
    pairs = (
        (
            row.row_id,
            " with ".join(", ".join(group.classes or group.ingredients) for group in row.groups),
            row.severity.value,
            row.words,
            row.source.mark.value,
            row.source.citation,
        )
        for row in table.interactions
    )
    return (head, *single, *pairs)
