"""The patient page: the summary, and beside it what stands open, what is signed, and what was decided before.

Rules
 * What a person may not do has no button; the page never offers what the service would refuse by role.
 * Why nothing is proposed is said in words, beside the newest attempt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..domain.loops import DecisionKind, LoopState
from ..domain.readings import WindowResult
from ..models import Boundary, Consent, Loop, Patient, Symptom, Target
from ..selectors.summary import ReadingSeen, Summary, outcome_of
from ..selectors.visits import is_overdue
from ..transitions import ENDINGS
from . import times, words
from .alerts import AlertShown, EndedShown, alert_shown, ended_shown
from .changes import change_shown, milligrams, pressure
from .limits import limits_shown
from .recommendation import StepShown, state_shown, steps_shown
from .summary import drug_name, summary
from .visits import held_shown, plan_shown, plan_why


@dataclass(frozen=True, slots=True)
class LoopShown:
    """One recommendation as a line of the history. `past`: the day, where it was opened on an earlier one."""

    loop_id: UUID
    what: str
    state: str
    tier: str
    when: str
    why: str
    past: str
    waiting: bool
    open: bool
    steps: tuple[StepShown, ...]


@dataclass(frozen=True, slots=True)
class SymptomShown:
    """A symptom as reported."""

    symptom_id: UUID
    what: str
    when: str
    blamed: str
    text: str
    reviewed: str


@dataclass(frozen=True, slots=True)
class ReadingShown:
    """One reading as a row of the table beside the drawing."""

    reading_id: str
    when: str
    value: str
    pulse: str
    how: str
    used: str
    note: str
    counts: bool
    corrected: bool


@dataclass(frozen=True, slots=True)
class PatientShown:
    """The page."""

    patient_id: UUID
    summary: dict[str, Any]
    alerts: tuple[AlertShown, ...]
    ended_alerts: tuple[EndedShown, ...]
    locked: bool
    open_loop: LoopShown | None
    withheld: LoopShown | None
    history: tuple[LoopShown, ...]
    symptoms: tuple[SymptomShown, ...]
    readings: tuple[ReadingShown, ...]
    target: str
    target_signed: str
    boundary: tuple[tuple[str, str], ...]
    boundary_state: str
    consents: tuple[tuple[str, str], ...]
    alert_limits: tuple[tuple[str, str], ...]
    visit: str
    visit_why: str
    visit_planned: bool
    visit_overdue: bool
    last_visit: tuple[str, ...]
    team: tuple[str, ...]


def patient_shown(found: Summary, *, now: datetime) -> PatientShown:
    """Everything on the page of one patient."""
    zone = found.zone
    loops = tuple(_loop(loop, found.patient, now=now) for loop in found.loops)
    newest = found.loops[0] if found.loops else None
    overdue = found.visit is not None and is_overdue(found.visit, now=now)
    return PatientShown(
        patient_id=found.patient.pk,
        summary=summary(found, now=now),
        alerts=tuple(
            alert_shown(alert, evidence, zone=zone, now=now, own=found.alert_limits) for alert, evidence in found.alerts
        ),
        ended_alerts=tuple(ended_shown(a, e, zone=zone, now=now) for a, e in found.ended_alerts),
        locked=any(alert.locks for alert, _ in found.alerts),
        open_loop=next((loop for loop in loops if loop.waiting), None),
        withheld=loops[0] if newest is not None and newest.state == LoopState.WITHHELD.value else None,
        history=loops,
        symptoms=tuple(_symptom(s, found, now=now) for s in found.symptoms),
        readings=tuple(_reading(r, found.window) for r in reversed(found.readings)),
        target=_target(found.target),
        target_signed=_signed(found.target, zone),
        boundary=tuple(_boundary_lines(found.boundary, zone)),
        boundary_state=_boundary_state(found.boundary, signer_responsible=found.boundary_signer_responsible, now=now),
        consents=tuple(_consent(c, zone) for c in found.consents),
        alert_limits=limits_shown(found.alert_limits, zone=zone, now=now),
        visit=plan_shown(found.visit, overdue=overdue),
        visit_why=plan_why(found.visit),
        visit_planned=found.visit is not None,
        visit_overdue=overdue,
        last_visit=held_shown(found.last_visit),
        team=tuple(m.user.printed_name + (" (responsible)" if m.responsible else "") for m in found.team),
    )


def _loop(loop: Loop, patient: Patient, *, now: datetime) -> LoopShown:
    zone = patient.zone
    decision = getattr(loop, "decision", None)
    if decision is not None and decision.kind == DecisionKind.MODIFY.value:
        change = change_shown(json.loads(decision.final_change))
    else:
        change = change_shown(outcome_of(loop).get("change"))
    on = times.local(loop.opened_at, zone).date()
    past = on < times.local(now, zone).date()
    why = words.withheld_then if past else words.withheld
    withheld = why(loop.withheld_reason) if loop.withheld_reason else ""
    state = LoopState(loop.state)
    return LoopShown(
        loop_id=loop.pk,
        what=_what(loop, change.sentence if change else "", withheld=bool(withheld)),
        state=state_shown(loop),
        tier=words.tier(loop.tier),
        when=f"{times.clock(loop.opened_at, zone)} ({times.ago(loop.opened_at, now=now)})",
        why=withheld,
        past=times.day(on) if past else "",
        waiting=state is LoopState.WITH_CLINICIAN,
        open=state not in ENDINGS,
        steps=steps_shown(loop.steps.all(), patient=patient),
    )


def _what(loop: Loop, sentence: str, *, withheld: bool) -> str:
    if loop.asks_first:
        return words.SAY_FIRST
    return "Nothing proposed" if withheld else sentence or words.change_kind(loop.change_kind)


def _symptom(symptom: Symptom, found: Summary, *, now: datetime) -> SymptomShown:
    review = getattr(symptom, "review", None)
    return SymptomShown(
        symptom_id=symptom.pk,
        what=words.symptom(symptom.kind),
        when=f"{times.clock(symptom.felt_at, found.zone)} ({times.ago(symptom.felt_at, now=now)})",
        blamed=drug_name(symptom.suspected_ingredient, found) if symptom.suspected_ingredient else "",
        text=symptom.text,
        reviewed=f"{words.reason(review.outcome)}, {times.clock(review.at, found.zone)}" if review else "",
    )


def _reading(reading: ReadingSeen, window: WindowResult) -> ReadingShown:
    systolic = pressure(reading.systolic.value) if reading.systolic else "absent"
    diastolic = pressure(reading.diastolic.value) if reading.diastolic else "absent"
    return ReadingShown(
        reading_id=reading.reading_id,
        when=times.clock(reading.taken_at, reading.zone),
        value=f"{systolic}/{diastolic}",
        pulse=str(pressure(reading.pulse.value)) if reading.pulse else "–",
        how=f"{words.method(reading.method)}, {words.setting(reading.setting)}",
        used=_in_average(reading.reading_id, window),
        note="; ".join(_notes(reading)),
        counts=reading.counts,
        corrected=bool(reading.corrected),
    )


def _in_average(reading_id: str, window: WindowResult) -> str:
    """Whether it is in the average of now, or why not."""
    if reading_id in window.used:
        return "used"
    return next(
        (f"not used: {words.not_used(left.why)}" for left in window.not_used if left.reading_id == reading_id), ""
    )


def _notes(reading: ReadingSeen) -> Iterable[str]:
    if reading.quarantined is not None:
        yield f"held back: {words.implausible(reading.quarantined)}"
    if reading.corrected:
        yield f"corrected: {words.reason(reading.corrected).lower()}"
    if not reading.validated:
        yield "device not validated"
    yield from (words.flag(flag) for flag in reading.flags)
    if reading.absent_reason:
        yield words.opened(reading.absent_reason)


def _target(target: Target | None) -> str:
    if target is None:
        return "No target is signed: nothing can be proposed"
    return f"under {pressure(target.systolic_below)}/{pressure(target.diastolic_below)} mmHg at home"


def _signed(target: Target | None, zone: str) -> str:
    return f"signed by {target.signed_by.printed_name}, {times.clock(target.signed_at, zone)}" if target else ""


def _boundary_state(boundary: Boundary | None, *, signer_responsible: bool, now: datetime) -> str:
    if boundary is None:
        return "None signed: every change goes to a clinician"
    if boundary.expires_at <= now:
        return f"Expired {times.ago(boundary.expires_at, now=now)}: every change goes to a clinician"
    if not signer_responsible:
        return "Ended: its signer is no longer responsible for this patient. Every change goes to a clinician"
    if boundary.review_everything:
        return "Everything goes to review"
    return f"In force, ends {times.ago(boundary.expires_at, now=now)}"


def _boundary_lines(boundary: Boundary | None, zone: str) -> Iterable[tuple[str, str]]:
    if boundary is None:
        return
    for drug in boundary.drugs.all():
        yield drug.name, f"up to {milligrams(drug.max_daily_dose_mg)} a day"
    yield "Steps in all", str(boundary.max_steps)
    yield "Days between steps", f"at least {boundary.min_interval_days}"
    yield "Signed", f"{boundary.signed_by.printed_name}, {times.clock(boundary.signed_at, zone)}"


def _consent(consent: Consent, zone: str) -> tuple[str, str]:
    word = "given" if consent.given else "withdrawn"
    return words.opened(consent.scope), f"{word} {times.clock(consent.at, zone)}"
