"""What could be done for a patient: every candidate by rule, in the order in which it would be considered.

Rules
 * Candidates are enumerated, never invented: stay; one step up of a drug taken; start of the next class in the site's
   order; one step down; stop; another time of intake (DESIGN 6).
 * Each carries what spoke. A barred one is kept to be shown, and is never proposed.
 * With a drug whose dose is on no rung, no increase: the regimen is then not known well enough.
 * Reductions and stops are never barred (N3); the stop of a beta-blocker carries its taper (CLINICAL 1.7).
 * Another time of intake exists only where a side effect is reported or doses are missed; a clinician decides it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from .contraindications import ContraindicationTable
from .contraindications import check as check_contraindications
from .domain.changes import STAY, Candidate, Change, ChangeKind, Severity, Spoken
from .domain.provenance import Source
from .domain.record import ConditionKind, DrugClass, DrugTaken, LabKind
from .domain.situation import Situation
from .domain.units import Milligrams
from .drugs import Drug, Formulary, LowStart, LowStartFact, Step
from .lab_rules import LabRules
from .lab_rules import check as check_labs

LADDER = "CLINICAL 1.6, step semantics"
TAPER_NOTE = "taper"
TAPER_BY_CLINICIAN = "taper_by_clinician"
EVENING = "take_in_the_evening"
SAME_TIME = "same_time_every_day"
DIURETICS = frozenset({DrugClass.THIAZIDE, DrugClass.THIAZIDE_LIKE, DrugClass.LOOP_DIURETIC, DrugClass.MRA})


@dataclass(frozen=True, slots=True)
class NextClass:
    """One place in the site's order: the class, and the drug with which it is begun (RxNorm IN)."""

    drug_class: DrugClass
    ingredient: str
    source: Source


@dataclass(frozen=True, slots=True)
class Taper:
    """A class that is never stopped at once, and over how many days it is left."""

    drug_class: DrugClass
    days: int
    source: Source


@dataclass(frozen=True, slots=True)
class IntakeTime:
    """When drugs of a class are best taken, if not in the evening."""

    drug_class: DrugClass
    note: str
    source: Source


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The tables by which candidates are made."""

    formulary: Formulary
    contraindications: ContraindicationTable
    lab_rules: LabRules
    order: tuple[NextClass, ...]
    tapers: tuple[Taper, ...]
    intake_times: tuple[IntakeTime, ...]
    adherence_percent: Decimal

    def place(self, drug_class: DrugClass) -> int:
        """Where a class stands in the site's order; classes not in it come last."""
        classes = [following.drug_class for following in self.order]
        return classes.index(drug_class) if drug_class in classes else len(classes)


def list_candidates(situation: Situation, rules: Rulebook) -> tuple[Candidate, ...]:
    """Every candidate for the patient as the record stands, first stay, then in the order of consideration."""
    taken = sorted(_pressure_drugs(situation, rules), key=lambda drug: rules.place(drug.drug_class))
    changes: list[Candidate] = [Candidate(STAY)]
    changes += [_step_up(drug, situation, rules) for drug in taken if rules.formulary.drug(drug.ingredient)]
    changes += [_start(following, situation, rules) for following in rules.order if not _has(following, taken)]
    changes += [Candidate(down) for drug in reversed(taken) if (down := step_down(drug, rules)) is not None]
    changes += [Candidate(stop(drug, rules)) for drug in reversed(taken)]
    changes += _timings(taken, situation, rules)
    return tuple(changes)


def assess(change: Change, situation: Situation, rules: Rulebook) -> Candidate:
    """A change, by whomever it was thought of, with everything that speaks against it."""
    spoken = list(_unplaced(change, situation, rules))
    spoken += check_contraindications(change, situation, rules.contraindications)
    spoken += check_labs(change, situation, rules.lab_rules)
    return Candidate(change, tuple(spoken))


def _pressure_drugs(situation: Situation, rules: Rulebook) -> list[DrugTaken]:
    return [drug for drug in situation.regimen.drugs if rules.formulary.lowers_pressure(drug.ingredient)]


def _has(following: NextClass, taken: list[DrugTaken]) -> bool:
    return any(drug.drug_class is following.drug_class for drug in taken)


def _unplaced(change: Change, situation: Situation, rules: Rulebook) -> tuple[Spoken, ...]:
    names = rules.formulary.unplaced(situation.regimen) if change.intensifies else ()
    return tuple(_stops("dose_on_no_rung", f"The dose of {name} is not known, or is on no rung.") for name in names)


def _stops(rule: str, words: str) -> Spoken:
    return Spoken(rule=rule, severity=Severity.HARD_STOP, words=words, citation=LADDER)


def _change(kind: ChangeKind, taken: DrugTaken, new: Milligrams | None, steps: int, product: str | None) -> Change:
    return Change(
        kind=kind,
        ingredient=taken.ingredient,
        drug=taken.name,
        drug_class=taken.drug_class,
        old_daily_dose=taken.daily_dose,
        new_daily_dose=new,
        steps=steps,
        product=product,
    )


def step_up(taken: DrugTaken, rules: Rulebook) -> Change | None:
    """The change to the next rung, or `None` at the top of the ladder or on no rung."""
    drug = rules.formulary.drug(taken.ingredient)
    if drug is None or taken.daily_dose is None or rules.formulary.position_of(taken) is None:
        return None
    step = drug.step_above(taken.daily_dose)
    return None if step is None else _change(ChangeKind.STEP_UP, taken, step.daily_dose, 1, step.product)


def _step_up(taken: DrugTaken, situation: Situation, rules: Rulebook) -> Candidate:
    up = step_up(taken, rules)
    if up is not None:
        return assess(up, situation, rules)
    nowhere = assess(_change(ChangeKind.STEP_UP, taken, None, 1, None), situation, rules)
    if rules.formulary.position_of(taken) is None:
        return nowhere  # already barred by the dose that is on no rung
    top = _stops("top_of_ladder", f"{taken.name} stands on its highest rung.")
    return Candidate(nowhere.change, (top, *nowhere.spoken))


def step_down(taken: DrugTaken, rules: Rulebook) -> Change | None:
    """The change to the rung below, or `None` where there is none. A dose between rungs falls to the next lower one."""
    drug = rules.formulary.drug(taken.ingredient)
    if drug is None or taken.daily_dose is None:
        return None
    if drug.product_required and rules.formulary.position_of(taken) is None:
        return None  # another form: the rung below would be a switch of product
    step = drug.step_below(taken.daily_dose)
    return None if step is None else _change(ChangeKind.STEP_DOWN, taken, step.daily_dose, -1, step.product)


def stop(taken: DrugTaken, rules: Rulebook) -> Change:
    """The stop of a drug, with its taper where it must not be stopped at once."""
    plain = _change(ChangeKind.STOP, taken, None, -1, None)
    if not _needs_taper(taken, rules):
        return plain
    doses = _taper_doses(taken, rules)
    note = TAPER_NOTE if doses else TAPER_BY_CLINICIAN
    return Change(
        kind=plain.kind,
        ingredient=plain.ingredient,
        drug=plain.drug,
        drug_class=plain.drug_class,
        old_daily_dose=plain.old_daily_dose,
        new_daily_dose=None,
        steps=-1,
        taper=doses or ((taken.daily_dose,) if taken.daily_dose else ()),
        note=note,
    )


def _needs_taper(taken: DrugTaken, rules: Rulebook) -> bool:
    other = rules.formulary.other(taken.ingredient)
    by_class = any(taper.drug_class is taken.drug_class for taper in rules.tapers)
    return by_class or (other is not None and other.stop_by_taper)


def _taper_doses(taken: DrugTaken, rules: Rulebook) -> tuple[Milligrams, ...]:
    """The rungs below, downwards; none where the record does not place the drug on its ladder."""
    drug = rules.formulary.drug(taken.ingredient)
    position = rules.formulary.position_of(taken)
    if drug is None or position is None:
        return ()
    return tuple(step.daily_dose for step in reversed(drug.steps[:position]))


def start_step(drug: Drug, situation: Situation) -> Step | None:
    """The rung on which a drug is begun: the lower one where a fact asks for it, `None` where that has no rung."""
    lower = any(_asks_for_low_start(fact, situation) for fact in drug.low_start_when)
    dose = drug.low_start if lower else drug.start
    return None if dose is None else drug.step_at(dose)


def _asks_for_low_start(ask: LowStart, situation: Situation) -> bool:
    return LOW_START[ask.fact](situation, ask.limit)


# Whether a fact holds; where the record cannot say, the lower start is the careful one.


def _on_diuretic(situation: Situation, _: Decimal | None) -> bool:
    return any(taken.drug_class in DIURETICS for taken in situation.regimen.drugs)


def _volume_depleted(situation: Situation, _: Decimal | None) -> bool:
    return ConditionKind.VOLUME_DEPLETION in situation.facts.conditions


def _frail(situation: Situation, _: Decimal | None) -> bool:
    return ConditionKind.FRAILTY in situation.facts.conditions


def _egfr_below(situation: Situation, limit: Decimal | None) -> bool:
    egfr = situation.latest(LabKind.EGFR)
    return egfr is None or limit is None or egfr.value < limit


def _age_from(situation: Situation, limit: Decimal | None) -> bool:
    age = situation.facts.age_years
    return age is None or limit is None or age >= limit


LOW_START: dict[LowStartFact, Callable[[Situation, Decimal | None], bool]] = {
    LowStartFact.ON_DIURETIC: _on_diuretic,
    LowStartFact.VOLUME_DEPLETION: _volume_depleted,
    LowStartFact.FRAILTY: _frail,
    LowStartFact.EGFR_BELOW: _egfr_below,
    LowStartFact.AGE_FROM: _age_from,
}


def _start(following: NextClass, situation: Situation, rules: Rulebook) -> Candidate:
    drug = rules.formulary.drug(following.ingredient)
    if drug is None:
        raise ValueError(f"the site's order names {following.ingredient}, which is not in the formulary")
    step = start_step(drug, situation)
    change = Change(
        kind=ChangeKind.START,
        ingredient=drug.ingredient,
        drug=drug.name,
        drug_class=drug.drug_class,
        old_daily_dose=None,
        new_daily_dose=step.daily_dose if step else None,
        steps=1,
        product=step.product if step else None,
    )
    candidate = assess(change, situation, rules)
    if step is None:
        low = _stops("no_low_start", f"{drug.name} would need a lower start than its ladder has.")
        return Candidate(change, (low, *candidate.spoken))
    return candidate


def doses_missed(situation: Situation, rules: Rulebook) -> bool:
    """Whether fewer doses were taken than CLINICAL 1.9 row 4 asks; an unknown share is not a missed dose."""
    share = situation.adherence.share if situation.adherence else None
    return share is not None and share * 100 < rules.adherence_percent


def _timings(taken: list[DrugTaken], situation: Situation, rules: Rulebook) -> list[Candidate]:
    blamed = {report.suspected_ingredient for report in situation.symptoms if not report.reviewed}
    missed = doses_missed(situation, rules)
    return [
        assess(_timing(drug, _intake_note(drug, rules) if drug.ingredient in blamed else SAME_TIME), situation, rules)
        for drug in taken
        if missed or drug.ingredient in blamed
    ]


def _timing(taken: DrugTaken, note: str) -> Change:
    return Change(
        kind=ChangeKind.TIMING,
        ingredient=taken.ingredient,
        drug=taken.name,
        drug_class=taken.drug_class,
        old_daily_dose=taken.daily_dose,
        new_daily_dose=taken.daily_dose,
        steps=0,
        product=taken.product,
        note=note,
    )


def _intake_note(taken: DrugTaken, rules: Rulebook) -> str:
    return next((time.note for time in rules.intake_times if time.drug_class is taken.drug_class), EVENING)
