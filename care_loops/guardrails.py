"""Guardrails: how far an increase may go. They only bring it closer to nothing, and say when they did.

The rules
 * A guardrail takes a change and gives back the same change, a smaller one, or STAY. Never a larger one, another drug,
   another kind. What it shortened or refused, it says with a hard stop; a recommended bound only warns.
 * Reductions, stops, timing and staying pass untouched through every guardrail (N3).
 * Absolute bounds refuse, recommended bounds warn; cumulative bounds hold across recommendations, because they read the
   history of changes that took effect.
 * A guardrail that breaks this is a bug: `narrow` raises `GuardrailWidened` rather than let its answer out.

To add a guardrail
 1. Give its numbers a row in `pathways/hypertension/data/guardrails.json`, with citation and mark.
 2. Write a function `(change, evidence) -> Narrowed` here and add it to `GUARDRAILS`.
 3. Run `tests/care_loops/test_guardrails.py`. Its properties run over everything in `GUARDRAILS`, the new one included,
    and say whether it is safe: `test_every_guardrail_only_brings_an_increase_closer_to_nothing` and
    `test_no_guardrail_touches_a_reduction_or_a_stop`. Beside them a planted bad guardrail is shown caught.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from .domain.changes import STAY, Change, Severity, Spoken
from .domain.provenance import Source
from .domain.record import Boundary
from .domain.situation import Situation
from .domain.units import Milligrams
from .drugs import Formulary
from .lab_rules import MONITORED, LabRules, overdue


class GuardrailWidened(Exception):
    """A bug: a guardrail gave back something other than the change, a smaller one, or STAY."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The numbers of one guardrail. `absolute` refuses or shortens, `recommended` warns; `None` where it has none."""

    row_id: str
    absolute: Decimal | None
    recommended: Decimal | None
    unit: str
    words: str
    source: Source


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of all guardrails."""

    rows: tuple[Limit, ...]

    def row(self, row_id: str) -> Limit:
        """The row of a guardrail; a guardrail without a row is a bug."""
        return next(row for row in self.rows if row.row_id == row_id)

    def narrowed(self, values: Mapping[str, str]) -> Limits:
        """The same guardrails with the absolute bounds that a policy chose (`governance.policy_kinds`), by row."""
        known = {row.row_id for row in self.rows if row.absolute is not None}
        if unknown := set(values) - known:
            raise ValueError(f"no bound to narrow: {sorted(unknown)}")
        return Limits(tuple(_at(row, values.get(row.row_id)) for row in self.rows))

    @property
    def period(self) -> timedelta:
        """The stretch of time over which steps are counted."""
        row = self.row("steps_period")
        return timedelta(days=int(_bound(row.absolute, row)))


def _at(row: Limit, value: str | None) -> Limit:
    return row if value is None else replace(row, absolute=Decimal(value))


@dataclass(frozen=True, slots=True)
class LimitEvidence:
    """What guardrails look at: the patient, the numbers in force, and the signed order if there is one."""

    situation: Situation
    limits: Limits
    formulary: Formulary
    lab_rules: LabRules
    boundary: Boundary | None = None


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a guardrail made of a change, and what it said, if anything."""

    change: Change
    spoken: Spoken | None = None


Guardrail = Callable[[Change, LimitEvidence], Narrowed]


def _say(limit: Limit, severity: Severity, detail: str = "") -> Spoken:
    words = f"{limit.words} {detail}".strip()
    return Spoken(rule=limit.row_id, severity=severity, words=words, citation=limit.source.citation)


def _refuse(limit: Limit, detail: str = "") -> Narrowed:
    return Narrowed(STAY, _say(limit, Severity.HARD_STOP, detail))


def _bound(number: Decimal | None, limit: Limit) -> Decimal:
    if number is None:
        raise ValueError(f"{limit.row_id}: the data file has no number")
    return number


def _shorten(change: Change, steps: int, evidence: LimitEvidence, limit: Limit) -> Narrowed:
    """The same change with fewer steps on its ladder, or STAY where the ladder does not have them."""
    drug = evidence.formulary.drug(change.ingredient)
    rungs = () if drug is None else drug.steps
    old, new = change.old_daily_dose, change.new_daily_dose
    between = [r for r in rungs if (old is None or r.daily_dose > old) and (new is not None and r.daily_dose < new)]
    if steps < 1 or len(between) < steps:
        return _refuse(limit)
    rung = between[steps - 1]
    shorter = replace(change, steps=steps, new_daily_dose=rung.daily_dose, product=rung.product)
    return Narrowed(shorter, _say(limit, Severity.HARD_STOP, f"Shortened to {rung.daily_dose.value} mg a day."))


def guideline_maximum(change: Change, evidence: LimitEvidence) -> Narrowed:
    """No dose above the guideline maximum, and none that is not known. A drug that is not in the formulary has none."""
    limit = evidence.limits.row("guideline_maximum")
    if not change.intensifies:
        return Narrowed(change)
    drug = evidence.formulary.drug(change.ingredient)
    if drug is None or change.new_daily_dose is None or change.new_daily_dose > drug.guideline_max:
        return _refuse(limit)
    return Narrowed(change)


def one_step(change: Change, evidence: LimitEvidence) -> Narrowed:
    """One step at a time; a longer increase is shortened to its first rung."""
    limit = evidence.limits.row("one_step")
    most = int(_bound(limit.absolute, limit))
    if not change.intensifies or _steps(change, evidence) <= most:
        return Narrowed(change)
    return _shorten(change, most, evidence, limit)


def _steps(change: Change, evidence: LimitEvidence) -> int:
    """How many rungs an increase climbs: as written, or by its doses, whichever is more. A start counts as one."""
    drug = evidence.formulary.drug(change.ingredient)
    old, new = change.old_daily_dose, change.new_daily_dose
    if drug is None or old is None or new is None:
        return change.steps
    return max(change.steps, sum(1 for rung in drug.steps if old < rung.daily_dose <= new))


def interval(change: Change, evidence: LimitEvidence) -> Narrowed:
    """Days since the last change of the regimen. One that takes effect later counts as today's."""
    limit = evidence.limits.row("interval")
    changes = evidence.situation.past_changes
    if not change.intensifies or not changes:
        return Narrowed(change)
    since = evidence.situation.as_of - max(past.effective_at for past in changes)
    if since < timedelta(days=int(_bound(limit.absolute, limit))):
        return _refuse(limit, f"{max(since.days, 0)} of {limit.absolute} days have passed.")
    if since < timedelta(days=int(_bound(limit.recommended, limit))):
        return Narrowed(change, _say(limit, Severity.WARNING, f"{since.days} days have passed."))
    return Narrowed(change)


def steps_in_period(change: Change, evidence: LimitEvidence) -> Narrowed:
    """Steps up of all drugs within the period, this change included. Reductions give none of them back."""
    limit = evidence.limits.row("steps_in_period")
    if not change.intensifies:
        return Narrowed(change)
    since = evidence.situation.as_of - evidence.limits.period
    taken = sum(p.steps for p in evidence.situation.past_changes if p.steps > 0 and p.effective_at > since)
    wanted, left = _steps(change, evidence), int(_bound(limit.absolute, limit)) - taken
    if left < 1:
        return _refuse(limit)
    if wanted > left:
        return _shorten(change, left, evidence, limit)
    if taken + wanted > _bound(limit.recommended, limit):
        return Narrowed(change, _say(limit, Severity.WARNING))
    return Narrowed(change)


def asked_before(change: Change, evidence: LimitEvidence) -> Narrowed:
    """Not the same increase again, soon after a clinician rejected it or the patient declined it."""
    limit = evidence.limits.row("asked_before")
    if not change.intensifies:
        return Narrowed(change)
    quiet = timedelta(days=int(_bound(limit.absolute, limit)))
    again = any(
        (no.ingredient, no.new_daily_dose) == (change.ingredient, change.new_daily_dose)
        and evidence.situation.as_of - no.at < quiet
        for no in evidence.situation.said_no
    )
    return _refuse(limit) if again else Narrowed(change)


def labs_overdue(change: Change, evidence: LimitEvidence) -> Narrowed:
    """No increase of RAS blocker, diuretic or MRA while a recheck is overdue (L3)."""
    if not change.intensifies or change.drug_class not in MONITORED:
        return Narrowed(change)
    if overdue(evidence.situation, evidence.lab_rules):
        return _refuse(evidence.limits.row("labs_overdue"))
    return Narrowed(change)


def signed_order(change: Change, evidence: LimitEvidence) -> Narrowed:
    """Warn above the maximum dose of the signed order; the tier keeps it from the patient's path."""
    if not change.intensifies or evidence.boundary is None:
        return Narrowed(change)
    most = _allowed(change, evidence.boundary)
    if most is not None and change.new_daily_dose is not None and change.new_daily_dose > most:
        return Narrowed(
            change, _say(evidence.limits.row("signed_order"), Severity.WARNING, f"Signed: {most.value} mg.")
        )
    return Narrowed(change)


def _allowed(change: Change, boundary: Boundary) -> Milligrams | None:
    return next((drug.max_daily_dose for drug in boundary.drugs if drug.ingredient == change.ingredient), None)


# In this order. A new guardrail is added here, and nowhere else.
GUARDRAILS: tuple[Guardrail, ...] = (
    one_step,
    guideline_maximum,
    interval,
    steps_in_period,
    labs_overdue,
    signed_order,
    asked_before,
)


def is_same_or_closer_to_nothing(after: Change, before: Change) -> bool:
    """The property of every guardrail: unchanged, or STAY for an increase, or the same increase of fewer steps."""
    if after == before:
        return True
    if not before.intensifies:
        return False
    if after == STAY:
        return True
    same = replace(after, steps=before.steps, new_daily_dose=before.new_daily_dose, product=before.product)
    if same != before or after.new_daily_dose is None or before.new_daily_dose is None:
        return False
    above_old = before.old_daily_dose is None or after.new_daily_dose > before.old_daily_dose
    return 0 < after.steps <= before.steps and above_old and after.new_daily_dose < before.new_daily_dose


def narrow(
    change: Change, evidence: LimitEvidence, guardrails: tuple[Guardrail, ...] = GUARDRAILS
) -> tuple[Change, tuple[Spoken, ...]]:
    """The change within all limits, and every guardrail that spoke, in order.

    Raises `GuardrailWidened` when a guardrail broke the one rule they all have, or narrowed without a word.
    """
    spoken: list[Spoken] = []
    for guardrail in guardrails:
        narrowed = guardrail(change, evidence)
        silent = narrowed.spoken is None or narrowed.spoken.severity is not Severity.HARD_STOP
        if not is_same_or_closer_to_nothing(narrowed.change, change) or (narrowed.change != change and silent):
            raise GuardrailWidened(getattr(guardrail, "__name__", "guardrail"))
        change = narrowed.change
        if narrowed.spoken is not None:
            spoken.append(narrowed.spoken)
    return change, tuple(spoken)


def reference_rows(limits: Limits) -> tuple[tuple[str, ...], ...]:
    """For the generated reference: guardrail, absolute, recommended, unit, words, mark and source."""
    head = ("guardrail", "refuses", "warns", "unit", "words", "mark", "source")
    return (
        head,
        *(
            (
                row.row_id,
                "" if row.absolute is None else str(row.absolute),
                "" if row.recommended is None else str(row.recommended),
                row.unit,
                row.words,
                row.source.mark.value,
                row.source.citation,
            )
            for row in limits.rows
        ),
    )
