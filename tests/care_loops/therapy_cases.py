"""A patient for whom nothing speaks against anything, and a short way to write how another one differs.

A difference is words, so that tables of cases read like notes: `potassium=5.1 gout age=80 with=ibuprofen`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from care_loops.domain.changes import Change, ChangeKind
from care_loops.domain.record import (
    Adherence,
    ConditionKind,
    DrugClass,
    DrugTaken,
    Lab,
    LabKind,
    PastChange,
    PatientFacts,
    Pregnancy,
    Regimen,
    SaidNo,
    Sex,
    SymptomKind,
    SymptomReport,
)
from care_loops.domain.situation import Situation
from care_loops.domain.units import Bpm, Milligrams
from care_loops.pathways.hypertension.tables_therapy import formulary

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
FORMULARY = formulary()
NAMES = {drug.name: (drug.ingredient, drug.drug_class) for drug in FORMULARY.titrated} | {
    other.name: (other.ingredient, other.drug_class) for other in FORMULARY.others
}
LABS = {"potassium": "4.2", "sodium": "140", "creatinine": "80", "egfr": "85"}


def days(number: float) -> timedelta:
    return timedelta(days=number)


def lab(kind: str, value: str, *, age: float = 10, now: datetime = NOW) -> Lab:
    return Lab(f"{kind}-{age}", LabKind(kind), Decimal(value), now - days(age))


def takes(name: str, dose: str | None = None, *, product: str | None = None) -> DrugTaken:
    """A drug of the regimen; titrated ones stand on a rung of their ladder."""
    ingredient, drug_class = NAMES[name]
    drug = FORMULARY.drug(ingredient)
    if drug is not None and dose is not None:
        step = drug.step_at(Milligrams.of(dose))
        product = product or (step.product if step else None)
    return DrugTaken(
        ingredient=ingredient,
        name=name,
        drug_class=drug_class,
        daily_dose=None if dose is None else Milligrams.of(dose),
        since=NOW - days(60),
        product=product,
    )


def past(name: str, *, ago: float, steps: int = 1) -> PastChange:
    ingredient, drug_class = NAMES[name]
    return PastChange(ingredient=ingredient, drug_class=drug_class, effective_at=NOW - days(ago), steps=steps)


def well(*drugs: DrugTaken) -> Situation:
    """A man of 60 with fresh, normal labs, a pulse of 70 and nothing else."""
    return Situation(
        as_of=NOW,
        facts=PatientFacts(age_years=60, sex=Sex.MALE, pregnancy=Pregnancy.NOT_PREGNANT, conditions=(), allergies=()),
        regimen=Regimen(drugs=drugs, unknown=()),
        labs=tuple(lab(kind, value) for kind, value in LABS.items()),
        past_changes=(),
        symptoms=(),
        pulse=Bpm.of(70),
        in_danger=False,
        adherence=Adherence(taken=95, due=100),
    )


def change(text: str) -> Change:
    """`start lisinopril`, `up lisinopril`, `down lisinopril`, `stop lisinopril`, `timing lisinopril`."""
    word, name = text.split(" ", 1)
    kind = {"start": "start", "up": "step_up", "down": "step_down", "stop": "stop", "timing": "timing"}[word]
    ingredient, drug_class = NAMES[name]
    drug = FORMULARY.drug(ingredient)
    first = drug.steps[0].daily_dose if drug else Milligrams.of(1)
    second = drug.steps[1].daily_dose if drug else Milligrams.of(2)
    old, new, steps = {
        "start": (None, first, 1),
        "step_up": (first, second, 1),
        "step_down": (second, first, -1),
        "stop": (first, None, -1),
        "timing": (first, first, 0),
    }[kind]
    return Change(
        kind=ChangeKind(kind),
        ingredient=ingredient,
        drug=name,
        drug_class=drug_class,
        old_daily_dose=old,
        new_daily_dose=new,
        steps=steps,
    )


def patient(text: str, *, base: Situation | None = None) -> Situation:
    """The well patient with differences: see `_differ` for the words."""
    situation = base or well()
    for word in text.split():
        situation = _differ(situation, word)
    return situation


def _differ(s: Situation, word: str) -> Situation:
    key, _, value = word.partition("=")
    facts = s.facts
    match key:
        case "age":
            return replace(s, facts=replace(facts, age_years=None if value == "?" else int(value)))
        case "sex":
            return replace(s, facts=replace(facts, sex=Sex(value)))
        case "pregnancy":
            return replace(s, facts=replace(facts, pregnancy=Pregnancy(value)))
        case "allergy":
            return replace(s, facts=replace(facts, allergies=(*facts.allergies, value)))
        case "pulse":
            return replace(s, pulse=None if value == "?" else Bpm.of(value))
        case "danger":
            return replace(s, in_danger=True)
        case "unknown-drug":
            return replace(s, regimen=replace(s.regimen, unknown=("something",)))
        case "with":
            name, _, dose = value.replace("_", " ").partition(":")
            return replace(s, regimen=replace(s.regimen, drugs=(*s.regimen.drugs, takes(name, dose or None))))
        case "stopped":
            drug_class, hours = value.split("@")
            gone = PastChange("x", DrugClass(drug_class), NOW - timedelta(hours=float(hours)), -1)
            return replace(s, past_changes=(*s.past_changes, gone))
        case "blames":
            return replace(s, symptoms=(*s.symptoms, symptom("rash", ago=2, blames=value)))
        case "symptom":
            kind, _, ago = value.partition("@")
            return replace(s, symptoms=(*s.symptoms, symptom(kind, ago=float(ago or 1))))
        case "changed":
            name, _, ago = value.partition("@")
            return replace(s, past_changes=(*s.past_changes, past(name, ago=float(ago))))
        case "said-no":  # said-no=lisinopril:20@10
            name, _, rest = value.partition(":")
            dose, _, ago = rest.partition("@")
            no = SaidNo(NAMES[name][0], Milligrams.of(dose), NOW - days(float(ago)))
            return replace(s, said_no=(*s.said_no, no))
        case "potassium" | "sodium" | "creatinine" | "egfr" | "uacr":
            amount, _, age = value.partition("@")
            if amount == "?":
                return replace(s, labs=tuple(known for known in s.labs if known.kind.value != key))
            kept = tuple(known for known in s.labs if known.kind.value != key)
            return replace(s, labs=(*kept, lab(key, amount, age=float(age or 10))))
        case "before":  # an older result beside the newest: before=creatinine:80@70
            kind, _, rest = value.partition(":")
            amount, age = rest.split("@")
            return replace(s, labs=(*s.labs, lab(kind, amount, age=float(age))))
        case _:
            return replace(s, facts=replace(facts, conditions=(*facts.conditions, ConditionKind(key))))


def symptom(kind: str, *, ago: float, blames: str | None = None, reviewed: bool = False) -> SymptomReport:
    suspected = None if blames is None else NAMES[blames.replace("_", " ")][0]
    return SymptomReport(f"{kind}-{ago}", SymptomKind(kind), NOW - days(ago), suspected, reviewed)
