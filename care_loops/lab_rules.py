"""Laboratory rules: what must be known of the blood before more drug, and what is due after it (CLINICAL 1.8).

Rules, in the order they are heard
 * L5  Potassium of 6.0 or more stops every increase.
   The rest concern starts and increases of RAS blockers, MRAs and diuretics only.
 * L1  Potassium, sodium, and creatinine or eGFR are on record. No result blocks like a bad one (N2).
 * L4, L5  Potassium over 5.0 blocks RAS blockers and MRAs.
 * L6  Creatinine 30 % up or eGFR 25 % down after a RAS or MRA change blocks. It is measured against the result before
   each such change of the past year, so that small steps do not hide a large fall.
 * L2, L3  A recheck outstanding sends the change to a clinician; from day 29 it blocks.
 * L7  On an MRA results are three-monthly.  * L8  A sick day blocks.  * L10  Stale results block.
 * Nothing here speaks against a reduction or a stop; `reductions_advised` asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from .domain.changes import Change, ChangeKind, Severity, Spoken
from .domain.provenance import Source
from .domain.record import ConditionKind, DrugClass, Lab, LabKind, PastChange, SymptomKind
from .domain.situation import Situation

RAS = frozenset({DrugClass.ACE_INHIBITOR, DrugClass.ARB, DrugClass.RENIN_INHIBITOR, DrugClass.ARNI})
RAS_OR_MRA = RAS | {DrugClass.MRA}
MONITORED = RAS_OR_MRA | {
    DrugClass.THIAZIDE,
    DrugClass.THIAZIDE_LIKE,
    DrugClass.LOOP_DIURETIC,
    DrugClass.POTASSIUM_SPARING,
}
SICK_DAY = frozenset({SymptomKind.VOMITING, SymptomKind.DIARRHOEA, SymptomKind.DEHYDRATION})
RENAL = (LabKind.CREATININE, LabKind.EGFR)


@dataclass(frozen=True, slots=True)
class Number:
    """One number of the table, with the rule it belongs to and its source."""

    rule: str
    value: Decimal
    unit: str
    words: str
    source: Source

    @property
    def days(self) -> timedelta:
        """The number as a stretch of time."""
        return timedelta(days=int(self.value))


@dataclass(frozen=True, slots=True)
class LabRules:
    """The numbers of CLINICAL 1.8, by name."""

    baseline_within_days: Number
    recheck_counts_from_day: Number
    due_from_day: Number
    due_until_day: Number
    high_risk_due_from_day: Number
    high_risk_due_until_day: Number
    overdue_from_day: Number
    high_risk_egfr_below: Number
    high_risk_potassium_over: Number
    ras_potassium_over: Number
    reduce_potassium_over: Number
    consider_stop_potassium_over: Number
    stop_potassium_from: Number
    creatinine_rise_percent: Number
    egfr_fall_percent: Number
    mra_every_days: Number
    sick_day_within_days: Number
    yearly_days: Number
    stale_days: Number
    patient_stale_days: Number

    def numbers(self) -> Iterator[tuple[str, Number]]:
        """Every number by its name."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))


class DueStatus(StrEnum):
    """Where a recheck stands."""

    NOT_YET = "not_yet"
    DUE = "due"
    LATE = "late"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class LabDue:
    """A result that is awaited: after which change (`None`: the yearly one), in which window of instants, and where
    it stands. From `overdue_at` it blocks.
    """

    kinds: tuple[LabKind, ...]
    after: PastChange | None
    due_from: datetime
    due_until: datetime
    overdue_at: datetime
    status: DueStatus


@dataclass(frozen=True, slots=True)
class LabState:
    """Labs as the tier asks for them (CLINICAL 1.9 row 5)."""

    in_date: bool
    within_limits: bool


@dataclass(frozen=True, slots=True)
class LabAdvice:
    """A reduction the results ask for: of which drug, and whether a step or a stop."""

    ingredient: str
    kind: ChangeKind
    spoken: Spoken


def _say(number: Number, severity: Severity = Severity.HARD_STOP, words: str | None = None) -> Spoken:
    return Spoken(rule=number.rule, severity=severity, words=words or number.words, citation=number.source.citation)


def check(change: Change, situation: Situation, rules: LabRules) -> tuple[Spoken, ...]:
    """What the results, or their absence, say against an increase."""
    if not change.intensifies:
        return ()
    spoken: list[Spoken] = []
    potassium = situation.latest(LabKind.POTASSIUM)
    if potassium is not None and potassium.value >= rules.stop_potassium_from.value:
        spoken.append(_say(rules.stop_potassium_from))
    if change.drug_class not in MONITORED:
        return tuple(spoken)
    spoken += _baseline(situation, rules)
    if potassium is not None and change.drug_class in RAS and potassium.value > rules.ras_potassium_over.value:
        spoken.append(_say(rules.ras_potassium_over))
    if (
        potassium is not None
        and change.drug_class in RAS_OR_MRA
        and potassium.value > rules.reduce_potassium_over.value
    ):
        spoken.append(_say(rules.reduce_potassium_over))
    spoken += [said for _, said in kidney_changes(situation, rules)]
    spoken += _awaited(situation, rules)
    spoken += _sick_day(situation, rules)
    spoken += _age_of_results(situation, rules)
    return tuple(dict.fromkeys(spoken))


def _renal(situation: Situation) -> Lab | None:
    """The newest of creatinine and eGFR."""
    found = [lab for kind in RENAL if (lab := situation.latest(kind)) is not None]
    return max(found, key=lambda lab: lab.taken_at, default=None)


def _baseline(situation: Situation, rules: LabRules) -> list[Spoken]:
    number = rules.baseline_within_days
    since = situation.as_of - number.days
    found = {
        "potassium": situation.latest(LabKind.POTASSIUM),
        "sodium": situation.latest(LabKind.SODIUM),
        "creatinine or eGFR": _renal(situation),
    }
    missing = [name for name, lab in found.items() if lab is None or lab.taken_at < since]
    return [_say(number, words=f"No {' and no '.join(missing)} within the year.")] if missing else []


def kidney_changes(situation: Situation, rules: LabRules) -> tuple[tuple[PastChange, Spoken], ...]:
    """L6: each RAS or MRA increase of the past year after which kidney results moved too far, or cannot be judged."""
    said: list[tuple[PastChange, Spoken]] = []
    since = situation.as_of - rules.yearly_days.days
    for past in situation.past_changes:
        if past.drug_class not in RAS_OR_MRA or past.steps <= 0 or not since < past.effective_at <= situation.as_of:
            continue
        rise = _moved(situation, LabKind.CREATININE, past.effective_at)
        fall = _moved(situation, LabKind.EGFR, past.effective_at)
        if rise is not None and rise >= rules.creatinine_rise_percent.value:
            said.append((past, _say(rules.creatinine_rise_percent)))
        if fall is not None and -fall >= rules.egfr_fall_percent.value:
            said.append((past, _say(rules.egfr_fall_percent)))
        renal = _renal(situation)
        if rise is None and fall is None and renal is not None and renal.taken_at > past.effective_at:
            words = "No creatinine or eGFR from before the last RAS or MRA change to compare with."
            said.append((past, _say(rules.creatinine_rise_percent, Severity.CAUTION, words)))
    return tuple(said)


def _moved(situation: Situation, kind: LabKind, changed_at: datetime) -> Decimal | None:
    """Per cent by which the newest result differs from the last one before a change; `None` without both."""
    before = [lab for lab in situation.labs if lab.kind is kind and lab.taken_at <= changed_at and lab.value > 0]
    after = situation.latest(kind)
    if not before or after is None or after.taken_at <= changed_at:
        return None
    base = max(before, key=lambda lab: (lab.taken_at, lab.lab_id)).value
    return (after.value - base) / base * 100


def _high_risk(past: PastChange, situation: Situation, rules: LabRules) -> bool:
    egfr, potassium = situation.latest(LabKind.EGFR), situation.latest(LabKind.POTASSIUM)
    return (
        past.drug_class is DrugClass.MRA
        or any(taken.drug_class is DrugClass.MRA for taken in situation.regimen.drugs)
        or ConditionKind.DIABETES in situation.facts.conditions
        or egfr is None
        or egfr.value < rules.high_risk_egfr_below.value
        or potassium is None
        or potassium.value > rules.high_risk_potassium_over.value
    )


def labs_due(situation: Situation, rules: LabRules) -> tuple[LabDue, ...]:
    """Rechecks awaited after starts and increases of drugs still taken, oldest first; then the yearly ones."""
    awaited = [
        _recheck(past, situation, rules)
        for past in sorted(situation.past_changes, key=lambda past: past.effective_at)
        if past.drug_class in MONITORED
        and past.steps > 0
        and past.effective_at <= situation.as_of
        and situation.takes(past.ingredient)
        and not _rechecked(past, situation, rules)
    ]
    return (*awaited, *_yearly(situation, rules))


def _rechecked(past: PastChange, situation: Situation, rules: LabRules) -> bool:
    counts_from = past.effective_at + rules.recheck_counts_from_day.days
    potassium, renal = situation.latest(LabKind.POTASSIUM), _renal(situation)
    return potassium is not None and renal is not None and min(potassium.taken_at, renal.taken_at) >= counts_from


def _recheck(past: PastChange, situation: Situation, rules: LabRules) -> LabDue:
    high = _high_risk(past, situation, rules)
    first = rules.high_risk_due_from_day if high else rules.due_from_day
    last = rules.high_risk_due_until_day if high else rules.due_until_day
    due_until = past.effective_at + last.days + timedelta(days=1)  # the whole of the last day
    overdue_at = past.effective_at + rules.overdue_from_day.days
    return LabDue(
        kinds=(LabKind.POTASSIUM, LabKind.CREATININE),
        after=past,
        due_from=past.effective_at + first.days,
        due_until=due_until,
        overdue_at=overdue_at,
        status=_status(situation.as_of, past.effective_at + first.days, due_until, overdue_at),
    )


def _status(now: datetime, due_from: datetime, due_until: datetime, overdue_at: datetime) -> DueStatus:
    if now >= overdue_at:
        return DueStatus.OVERDUE
    if now >= due_until:
        return DueStatus.LATE
    return DueStatus.DUE if now >= due_from else DueStatus.NOT_YET


def _yearly(situation: Situation, rules: LabRules) -> list[LabDue]:
    """L9: results older than a year, or never taken, for a patient with a regimen. They are due, and block by L10."""
    if not situation.regimen.drugs:
        return []
    kinds = [LabKind.POTASSIUM, LabKind.SODIUM, LabKind.EGFR]
    if {ConditionKind.DIABETES, ConditionKind.CKD} & set(situation.facts.conditions):
        kinds.append(LabKind.UACR)
    since = situation.as_of - rules.yearly_days.days
    old = tuple(kind for kind in kinds if (lab := situation.latest(kind)) is None or lab.taken_at < since)
    if not old:
        return []
    now = situation.as_of
    return [LabDue(old, after=None, due_from=now, due_until=now, overdue_at=now, status=DueStatus.DUE)]


def overdue(situation: Situation, rules: LabRules) -> bool:
    """Whether a recheck after a change is past day 28: then no further increase of RAS blocker, diuretic or MRA."""
    return any(due.status is DueStatus.OVERDUE for due in labs_due(situation, rules))


def _awaited(situation: Situation, rules: LabRules) -> list[Spoken]:
    rechecks = [due for due in labs_due(situation, rules) if due.after is not None]
    if not rechecks:
        return []
    if any(due.status is DueStatus.OVERDUE for due in rechecks):
        return [_say(rules.overdue_from_day)]
    return [_say(rules.due_until_day, Severity.CAUTION, "The recheck after the last change is not yet on record.")]


def _sick_day(situation: Situation, rules: LabRules) -> list[Spoken]:
    since = situation.as_of - rules.sick_day_within_days.days
    sick = any(s.kind in SICK_DAY and not s.reviewed and s.reported_at >= since for s in situation.symptoms)
    return [_say(rules.sick_day_within_days)] if sick else []


def _older_than(situation: Situation, number: Number) -> bool:
    """Whether the newest potassium, or the newest creatinine or eGFR, is older than so many days, or absent."""
    since = situation.as_of - number.days
    found = (situation.latest(LabKind.POTASSIUM), _renal(situation))
    return any(lab is None or lab.taken_at < since for lab in found)


def _age_of_results(situation: Situation, rules: LabRules) -> list[Spoken]:
    said: list[Spoken] = []
    if _older_than(situation, rules.stale_days):
        said.append(_say(rules.stale_days))
    if _older_than(situation, rules.patient_stale_days):
        said.append(_say(rules.patient_stale_days, Severity.CAUTION))
    on_mra = any(taken.drug_class is DrugClass.MRA for taken in situation.regimen.drugs)
    if on_mra and _older_than(situation, rules.mra_every_days):
        said.append(_say(rules.mra_every_days, Severity.CAUTION))
    return said


def state(change: Change, situation: Situation, rules: LabRules) -> LabState:
    """Whether labs are in date, and inside L4 to L6, for the patient's path. An overdue recheck is never in date."""
    said = {spoken.rule for spoken in check(change, situation, rules)}
    return LabState(
        in_date=not said & {"L1", "L3", "L7", "L10"} and not overdue(situation, rules),
        within_limits=not said & {"L4", "L5", "L6", "L8"},
    )


def reductions_advised(situation: Situation, rules: LabRules) -> tuple[LabAdvice, ...]:
    """L5, L6: RAS blockers and MRAs that the results ask to reduce or stop, each once, the strongest advice first."""
    advice = [*_potassium_advice(situation, rules), *_kidney_advice(situation, rules)]
    advice.sort(key=lambda a: a.kind is not ChangeKind.STOP)
    return tuple({a.ingredient: a for a in reversed(advice)}.values())[::-1]


def _potassium_advice(situation: Situation, rules: LabRules) -> list[LabAdvice]:
    potassium = situation.latest(LabKind.POTASSIUM)
    if potassium is None:
        return []
    ladder = (
        (potassium.value >= rules.stop_potassium_from.value, ChangeKind.STOP, rules.stop_potassium_from),
        (
            potassium.value > rules.consider_stop_potassium_over.value,
            ChangeKind.STOP,
            rules.consider_stop_potassium_over,
        ),
        (potassium.value > rules.reduce_potassium_over.value, ChangeKind.STEP_DOWN, rules.reduce_potassium_over),
    )
    found = next(((kind, number) for holds, kind, number in ladder if holds), None)
    if found is None:
        return []
    kind, number = found
    return [
        LabAdvice(taken.ingredient, kind, _say(number, Severity.WARNING))
        for taken in situation.regimen.drugs
        if taken.drug_class in RAS_OR_MRA
    ]


def _kidney_advice(situation: Situation, rules: LabRules) -> list[LabAdvice]:
    return [
        LabAdvice(past.ingredient, ChangeKind.STEP_DOWN, said)
        for past, said in kidney_changes(situation, rules)
        if said.severity is Severity.HARD_STOP and situation.takes(past.ingredient)
    ]


def reference_rows(rules: LabRules) -> tuple[tuple[str, ...], ...]:
    """For the generated reference: rule, number, unit, words, mark and source."""
    head = ("rule", "number", "value", "unit", "words", "mark", "source")
    return (
        head,
        *(
            (n.rule, name, str(n.value), n.unit, n.words, n.source.mark.value, n.source.citation)
            for name, n in rules.numbers()
        ),
    )
