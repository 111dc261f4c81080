"""One recommendation on one page: what, why, what limited it, what else was considered, what is new since.

Rules
 * What was frozen is shown as it was frozen (`outcome`); nothing is recomputed for the page.
 * Where the tier is "clinician decides" no choice stands out, and none is ever filled in.
 * The signature statement says who signs what, before it is signed (21 CFR 11.50).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.tier_policy import shipped

from ..domain.loops import LoopState, Origin
from ..domain.readings import NotUsed
from ..models import Decision, Loop, Patient, Step
from ..selectors.news import News
from ..selectors.signed import content_of_decision
from ..selectors.summary import ReadingSeen, outcome_of
from . import evidence, times, words
from .changes import (
    CandidateShown,
    ChangeShown,
    RuleShown,
    candidates_shown,
    change_shown,
    pressure,
    rules_shown,
)
from .signatures import SignatureShown, signature_shown


@dataclass(frozen=True, slots=True)
class WindowShown:
    """One window of readings as it was averaged."""

    name: str
    when: str
    average: str
    why_none: str
    used: int
    not_used: tuple[tuple[str, int], ...]


_WINDOWS = ("This window", "The window before", "Two windows before", "Three windows before", "Four windows before")


@dataclass(frozen=True, slots=True)
class TierReasons:
    """Conditions that do not hold: those that gave the tier, and the others that keep it from the patient."""

    deciding: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepShown:
    """One line of the history."""

    what: str
    when: str
    who: str
    why: str
    signature: SignatureShown | None = None


@dataclass(frozen=True, slots=True)
class DecisionShown:
    """What a clinician decided."""

    kind: str
    by: str
    when: str
    reason: str
    text: str
    original: ChangeShown | None
    final: ChangeShown | None
    modified: bool
    evidence: str
    evidence_word: str
    signature: SignatureShown


@dataclass(frozen=True, slots=True)
class RecommendationShown:
    """The page."""

    loop: Loop
    heading: str
    state: str
    waiting: bool
    order: bool
    tier: str
    tier_decides: bool
    tier_reasons: TierReasons
    due: str
    late: bool
    expires: str
    opened: str
    withheld: str
    withheld_detail: tuple[str, ...]
    change: ChangeShown | None
    rules: tuple[RuleShown, ...]
    narrowed_from: str
    candidates: tuple[CandidateShown, ...]
    alternatives: tuple[CandidateShown, ...]
    model: str
    model_digest: str
    reasons: tuple[str, ...]
    uncertain: bool
    expected: str
    windows: tuple[WindowShown, ...]
    decision: DecisionShown | None
    steps: tuple[StepShown, ...]
    evidence_digest: str


def recommendation_shown(loop: Loop, *, now: datetime) -> RecommendationShown:
    """A recommendation in words, in the patient's own time. Once modified, what was prescribed stands at its head."""
    outcome = outcome_of(loop)
    zone = loop.patient.zone
    change = change_shown(outcome.get("change"))
    decision = _decision(getattr(loop, "decision", None), zone=zone)
    stands = decision.final if decision is not None and decision.modified else change
    candidates = candidates_shown(outcome.get("candidates"))
    prediction: Mapping[str, Any] = outcome.get("prediction") or {}
    waiting = loop.state == LoopState.WITH_CLINICIAN.value
    return RecommendationShown(
        loop=loop,
        heading=_heading(loop, stands),
        state=state_shown(loop),
        waiting=waiting,
        order=loop.origin == Origin.ORDER.value,
        tier=words.tier(loop.tier),
        tier_decides=loop.tier == "clinician_decides",
        tier_reasons=tier_rows_shown(outcome.get("tier_reasons") or (), tier=loop.tier),
        due=times.due(loop.due_at, now=now) if waiting else "",
        late=waiting and loop.due_at <= now,
        expires=times.clock(loop.expires_at, zone),
        opened=f"{times.clock(loop.opened_at, zone)} ({times.ago(loop.opened_at, now=now)})",
        withheld=words.withheld(loop.withheld_reason) if loop.withheld_reason else "",
        withheld_detail=tuple(_reason_words(d) for d in outcome.get("detail") or ()),
        change=stands,
        rules=rules_shown(outcome.get("spoken")),
        narrowed_from=_narrowed_from(outcome, change),
        candidates=candidates,
        alternatives=tuple(
            c for c in candidates if not c.barred and not c.change.stays and not _same(c.change, change)
        ),
        model=f"{words.model(loop.model_name)}, version {loop.model_version}" if loop.model_name else "",
        model_digest=loop.model_digest,
        reasons=tuple(_reason_words(r) for r in prediction.get("reasons") or ()),
        uncertain=bool(prediction.get("uncertain")),
        expected=_expected(prediction),
        windows=windows_shown(outcome.get("windows") or (), zone=zone),
        decision=decision,
        steps=steps_shown(loop.steps.all(), patient=loop.patient),
        evidence_digest=loop.evidence_digest,
    )


def state_shown(loop: Loop) -> str:
    """Where it stands. A clinician's own order was never a proposal that somebody modified."""
    ordered = loop.origin == Origin.ORDER.value and loop.state == LoopState.MODIFIED.value
    return "Ordered and signed" if ordered else words.state(loop.state)


def windows_shown(frozen: Iterable[Mapping[str, Any]], *, zone: str) -> tuple[WindowShown, ...]:
    """Frozen windows, the newest first as they were frozen."""
    return tuple(_window(window, index, zone=zone) for index, window in enumerate(frozen))


def _window(window: Mapping[str, Any], index: int, *, zone: str) -> WindowShown:
    average = window.get("average")
    elsewhere = frozenset({NotUsed.OUTSIDE_WINDOW, NotUsed.FUTURE}) if index else frozenset()
    left = Counter(words.not_used(one["why"]) for one in window.get("not_used") or () if one["why"] not in elsewhere)
    return WindowShown(
        name=_WINDOWS[min(index, len(_WINDOWS) - 1)],
        when=_span(window, zone),
        average=f"{pressure(average['systolic'])}/{pressure(average['diastolic'])}" if average else "",
        why_none=words.insufficient(window["reason"]) if window.get("reason") else "",
        used=len(window.get("used") or ()),
        not_used=tuple(sorted(left.items())),
    )


def _span(window: Mapping[str, Any], zone: str) -> str:
    starts, ends = window.get("starts_at"), window.get("ends_at")
    if not starts or not ends:
        return ""
    first = times.local(datetime.fromisoformat(starts), zone).date()
    last = times.local(datetime.fromisoformat(ends), zone).date()
    return f"from {times.day(first)} to before {times.day(last)}"


def steps_shown(steps: Iterable[Step], *, patient: Patient) -> tuple[StepShown, ...]:
    """The history, oldest first, with who acted."""
    return tuple(
        StepShown(
            what=words.state(step.state),
            when=times.clock(step.entered_at, patient.zone),
            who=_who(step, patient),
            why=words.sentence(step.reason_code) if step.reason_code else "",
            signature=signature_shown(step.signature) if step.signature else None,
        )
        for step in sorted(steps, key=lambda s: s.seq)
    )


def _who(step: Step, patient: Patient) -> str:
    if step.actor_kind == "user" and step.actor_id == str(patient.account_id):
        return "the patient"
    if step.decided_by is not None:
        return step.decided_by.printed_name
    return {"user": "a person", "service": "the system", "device": "a device", "model": "a model"}.get(
        step.actor_kind, words.opened(step.actor_kind)
    )


def _heading(loop: Loop, change: ChangeShown | None) -> str:
    if loop.asks_first:
        return words.SAY_FIRST
    if loop.withheld_reason:
        return "Nothing proposed"
    return change.sentence if change else words.change_kind(loop.change_kind)


def _decision(decision: Decision | None, *, zone: str) -> DecisionShown | None:
    if decision is None:
        return None
    original, final = json.loads(decision.original_change), json.loads(decision.final_change)
    covered = evidence.coverage_of(decision.entry)
    return DecisionShown(
        kind=words.decision(decision.kind),
        by=decision.decided_by.printed_name,
        when=times.clock(decision.decided_at, zone),
        reason=words.reason(decision.reason_code) if decision.reason_code else "",
        text=decision.free_text,
        original=change_shown(original),
        final=change_shown(final),
        modified=decision.kind == "modify",
        evidence=evidence.covered(covered),
        evidence_word=evidence.in_a_word(covered),
        signature=signature_shown(decision.signature, content_of_decision(decision)),
    )


def _narrowed_from(outcome: Mapping[str, Any], change: ChangeShown | None) -> str:
    """What was proposed before limits made it smaller; empty when they did nothing."""
    before = change_shown(outcome.get("before_limits"))
    return before.sentence if before is not None and change is not None and not _same(before, change) else ""


def _same(one: ChangeShown, other: ChangeShown | None) -> bool:
    return other is not None and (one.kind, one.drug, one.new, one.note) == (
        other.kind,
        other.drug,
        other.new,
        other.note,
    )


def _expected(prediction: Mapping[str, Any]) -> str:
    systolic = pressure(prediction.get("expected_systolic"))
    diastolic = pressure(prediction.get("expected_diastolic"))
    return f"{systolic}/{diastolic} mmHg" if systolic and diastolic else ""


def tier_rows_shown(codes: Iterable[str], *, tier: str) -> TierReasons:
    """Rows of the decision table that do not hold, in the table's own words."""
    rows = {row.row_id: row for row in shipped().rows}
    deciding: list[str] = []
    others: list[str] = []
    for code in codes:
        row = rows.get(code)
        said = row.words if row is not None else words.sentence(code)
        (deciding if row is None or row.else_tier.value == tier else others).append(said)
    return TierReasons(deciding=tuple(deciding), others=tuple(others))


def _reason_words(reason: object) -> str:
    """A reason frozen as a sentence, a code, or a value with words."""
    if isinstance(reason, Mapping):
        return str(reason.get("words") or words.opened(str(reason.get("code") or reason.get("rule") or "")))
    text = str(reason)
    return text if " " in text else words.sentence(text)


def news_shown(news: News, *, zone: str, now: datetime) -> tuple[str, ...]:
    """What has come since, one line each."""
    lines = [
        f"Reading {_both(r)} mmHg, {times.clock(r.taken_at, r.zone)}" + (" (held back)" if r.held_back else "")
        for r in news.readings
    ]
    lines += [
        f"{words.lab(lab.kind)[0]} {format(lab.value.normalize(), 'f')} {words.lab(lab.kind)[1]}, "
        f"{times.clock(lab.taken_at, zone)}"
        for lab in news.labs
    ]
    lines += [f"Symptom: {words.symptom(s.kind)}, {times.ago(s.felt_at, now=now)}" for s in news.symptoms]
    return tuple(lines)


def _both(reading: ReadingSeen) -> str:
    systolic = pressure(reading.systolic.value) if reading.systolic else "–"
    diastolic = pressure(reading.diastolic.value) if reading.diastolic else "–"
    return f"{systolic}/{diastolic}"
