"""The published titration protocols as predictors: HOME BP, and TASMINH4 as second (CLINICAL 1.5).

Rules, in the order in which they are asked
 * A reported side effect asks for less of that drug, or another time of intake; a result asks for less (L5, L6).
 * Without a valid newest window nothing is said of the pressure (N2).
 * Low: a mean under 110 systolic asks for less. A single low reading bars an increase (C9).
 * In target, stay.
 * HOME BP: over target in two consecutive windows, the next step. TASMINH4: in the newest one.
   Consecutive windows do not overlap, have none in target or invalid between them, and begin after the last change.
 * Doses missed: help with taking them, never more of them (CLINICAL 1.9 row 4).
 * The step is the first candidate in order that nothing bars. A reduction is proposed to clinicians only (the tier).

A predictor is a pure function of what it is handed; learned models answer with the same `Prediction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from .domain.changes import STAY, Candidate, Change, ChangeKind, ModelRef, Prediction
from .domain.readings import Average, WindowResult
from .domain.record import SymptomKind, Target
from .domain.situation import Situation
from .domain.units import MmHg
from .lab_rules import LabAdvice

HOME_BP = "home_bp"
TASMINH4 = "tasminh4"
CLOCKS_CHANGE = timedelta(hours=1)
_STRENGTH = (ChangeKind.STOP, ChangeKind.STEP_DOWN, ChangeKind.TIMING)


@dataclass(frozen=True, slots=True)
class ProtocolTable:
    """The numbers of the protocols, and what a side effect asks for."""

    windows_over_target: tuple[tuple[str, int], ...]
    low_mean: MmHg
    low_single: MmHg
    patient_window_gap_days: int
    adherence_percent: Decimal
    responses: tuple[tuple[SymptomKind, ChangeKind], ...]

    def windows_needed(self, protocol: str) -> int:
        """How many consecutive windows over target the protocol asks for."""
        return dict(self.windows_over_target)[protocol]

    def response(self, symptom: SymptomKind) -> ChangeKind:
        """What a symptom blamed on a drug asks for; one that has no row is answered like `other`."""
        responses = dict(self.responses)
        return responses.get(symptom, responses[SymptomKind.OTHER])


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """What a protocol looks at. `windows` are the closed ones, newest first; `candidates` in order of consideration.

    `lowest_systolic` is the lowest of the last 14 days, `None` without readings.
    """

    target: Target
    windows: tuple[WindowResult, ...]
    candidates: tuple[Candidate, ...]
    situation: Situation
    lab_advice: tuple[LabAdvice, ...]
    lowest_systolic: MmHg | None


def over_target(average: Average, target: Target) -> bool:
    """Out of target above: at or above either signed number."""
    return average.systolic >= target.systolic_below or average.diastolic >= target.diastolic_below


def last_change_at(situation: Situation) -> datetime | None:
    """When the regimen last changed."""
    return max((p.effective_at for p in situation.past_changes if p.effective_at <= situation.as_of), default=None)


def run_over_target(
    target: Target, windows: tuple[WindowResult, ...], changed_at: datetime | None
) -> tuple[WindowResult, ...]:
    """The newest windows over target without a break, newest first: valid, not overlapping, after the last change."""
    run: list[WindowResult] = []
    for window in windows:
        if run and _overlaps(window, run[-1]):
            continue
        if window.average is None or window.starts_at is None or window.ends_at is None:
            break
        if not over_target(window.average, target) or (changed_at is not None and window.starts_at < changed_at):
            break
        run.append(window)
    return tuple(run)


def _overlaps(older: WindowResult, newer: WindowResult) -> bool:
    return older.ends_at is not None and newer.starts_at is not None and older.ends_at > newer.starts_at


def days_spanned(run: tuple[WindowResult, ...]) -> int | None:
    """Local days between the ends of the newest and the oldest window of a run; `None` with fewer than two.

    Windows end at local midnight: a stretch in which clocks went forward is an hour short and still counts whole.
    """
    if len(run) < 2 or run[0].ends_at is None or run[-1].ends_at is None:
        return None
    return (run[0].ends_at - run[-1].ends_at + CLOCKS_CHANGE) // timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The change a protocol proposes, and why, in codes."""

    proposed: Change
    reasons: tuple[str, ...]
    uncertain: bool = False


def home_bp(view: ProtocolView, *, model: ModelRef, table: ProtocolTable) -> Prediction:
    """HOME BP: mean over target in two consecutive windows proposes the next step."""
    return _prediction(model, _decide(view, table, HOME_BP))


def tasminh4(view: ProtocolView, *, model: ModelRef, table: ProtocolTable) -> Prediction:
    """TASMINH4: the newest monthly mean over target proposes the next step."""
    return _prediction(model, _decide(view, table, TASMINH4))


def _prediction(model: ModelRef, answer: _Answer) -> Prediction:
    return Prediction(
        model=model,
        proposed=answer.proposed,
        reasons=answer.reasons,
        uncertain=answer.uncertain,
        out_of_distribution=False,
    )


def _decide(view: ProtocolView, table: ProtocolTable, protocol: str) -> _Answer:
    less = _for_side_effect(view, table) or _for_labs(view)
    if less is not None:
        return less
    average = view.windows[0].average if view.windows else None
    if average is None:
        return _Answer(STAY, ("no_valid_window",), uncertain=True)
    if average.systolic < table.low_mean:
        return _reduce(view)
    if not over_target(average, view.target):
        return _Answer(STAY, ("in_target",))
    if view.lowest_systolic is not None and view.lowest_systolic < table.low_single:
        return _Answer(STAY, ("low_reading_bars_increase",))
    return _increase(view, table, protocol)


def _find(view: ProtocolView, kind: ChangeKind, ingredient: str | None = None) -> Change | None:
    return next(
        (
            candidate.change
            for candidate in view.candidates
            if candidate.change.kind is kind
            and not candidate.barred
            and (ingredient is None or candidate.change.ingredient == ingredient)
        ),
        None,
    )


def _less(view: ProtocolView, kind: ChangeKind, ingredient: str) -> Change | None:
    """What was asked for one drug; a step down from the lowest rung is a stop."""
    found = _find(view, kind, ingredient)
    return found or (_find(view, ChangeKind.STOP, ingredient) if kind is ChangeKind.STEP_DOWN else None)


def _for_side_effect(view: ProtocolView, table: ProtocolTable) -> _Answer | None:
    """The strongest answer that the reported side effects ask for."""
    asked = [
        (table.response(report.kind), report.suspected_ingredient, report.kind)
        for report in view.situation.symptoms
        if not report.reviewed and report.suspected_ingredient is not None
    ]
    for kind, ingredient, symptom in sorted(asked, key=lambda ask: _STRENGTH.index(ask[0])):
        change = _less(view, kind, ingredient)
        if change is not None:
            return _Answer(change, ("side_effect_reported", symptom.value))
    return None


def _for_labs(view: ProtocolView) -> _Answer | None:
    for advice in view.lab_advice:
        change = _less(view, advice.kind, advice.ingredient)
        if change is not None:
            return _Answer(change, ("labs_ask_for_less", advice.spoken.rule))
    return None


def _reduce(view: ProtocolView) -> _Answer:
    """One step down of the drug added last in the site's order; a stop where no step is left."""
    change = _find(view, ChangeKind.STEP_DOWN) or _find(view, ChangeKind.STOP)
    if change is None:
        return _Answer(STAY, ("mean_below_lower_limit", "nothing_to_reduce"))
    return _Answer(change, ("mean_below_lower_limit",))


def _increase(view: ProtocolView, table: ProtocolTable, protocol: str) -> _Answer:
    run = run_over_target(view.target, view.windows, last_change_at(view.situation))
    needed = table.windows_needed(protocol)
    if len(run) < needed:
        return _Answer(STAY, ("too_few_windows_over_target",))
    share = view.situation.adherence.share if view.situation.adherence else None
    if share is not None and share * 100 < table.adherence_percent:
        timing = _find(view, ChangeKind.TIMING)
        return _Answer(timing or STAY, ("doses_missed",))
    step = next((c.change for c in view.candidates if c.change.intensifies and not c.barred), None)
    if step is None:
        return _Answer(STAY, ("over_target", "no_candidate_left"))
    return _Answer(step, ("over_target_in_newest_window" if needed == 1 else "over_target_in_consecutive_windows",))
