"""The worklist in words: one line a thing that waits, under tabs with counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ..domain.alerts import AlertSeverity
from ..models import Alert, Loop, Patient, Symptom, VisitPlan
from ..selectors.summary import outcome_of
from ..selectors.worklist import ItemKind, Risk, WorkItem, Worklist
from . import times, words
from .alerts import alert_shown, nobody_answers
from .changes import ChangeShown, change_shown, pressure


class Tab(StrEnum):
    """What of the worklist is shown."""

    NEEDS_A_PERSON = "needs_a_person"
    ALERTS = "alerts"
    RECOMMENDATIONS = "recommendations"
    SYMPTOMS = "symptoms"
    VISITS = "visits"
    WITHHELD = "withheld"
    PATIENTS = "patients"


_IN_TAB: Mapping[Tab, Callable[[WorkItem], bool]] = {
    Tab.NEEDS_A_PERSON: lambda item: item.kind is not ItemKind.WITHHELD and not _only_informs(item),
    Tab.ALERTS: lambda item: item.kind is ItemKind.ALERT,
    Tab.RECOMMENDATIONS: lambda item: item.kind is ItemKind.RECOMMENDATION,
    Tab.SYMPTOMS: lambda item: item.kind is ItemKind.SYMPTOM,
    Tab.VISITS: lambda item: item.kind is ItemKind.VISIT,
    Tab.WITHHELD: lambda item: item.kind is ItemKind.WITHHELD,
}
_NAMES: Mapping[Tab, str] = {
    Tab.NEEDS_A_PERSON: "Needs a person",
    Tab.ALERTS: "Alerts",
    Tab.RECOMMENDATIONS: "Recommendations",
    Tab.SYMPTOMS: "Symptoms",
    Tab.VISITS: "Visits",
    Tab.WITHHELD: "Nothing proposed",
    Tab.PATIENTS: "All my patients",
}
_EMPTY: Mapping[Tab, tuple[str, str]] = {
    Tab.NEEDS_A_PERSON: ("Nothing waits for you", "New readings, alerts and proposals appear here by themselves."),
    Tab.ALERTS: ("No open alerts", "Danger rules go on running without any model."),
    Tab.RECOMMENDATIONS: ("No recommendation waits for a decision", "Each closes with a decision or expires."),
    Tab.SYMPTOMS: ("No symptom waits for review", "A reported side effect pauses automation for that drug at once."),
    Tab.VISITS: ("No visit is overdue", "A visit whose day has passed stands here until you say what became of it."),
    Tab.WITHHELD: ("No patient is without a proposal", "Where nothing is proposed, the reason is kept and listed."),
    Tab.PATIENTS: ("You are in no care team", "An administrator or a colleague adds you to one."),
}
_LOOKS: Mapping[Risk, str] = {
    Risk.CRITICAL: "critical",
    Risk.URGENT: "urgent",
    Risk.LOCKED: "urgent",
    Risk.TODAY: "same_day",
    Risk.DECIDE: "decide",
    Risk.SYMPTOM: "same_day",
    Risk.VISIT: "card",
    Risk.LOOK: "card",
    Risk.NOTHING_PROPOSED: "none",
}


@dataclass(frozen=True, slots=True)
class TabShown:
    """A tab with how many lines stand under it."""

    code: str
    words: str
    count: int
    here: bool


@dataclass(frozen=True, slots=True)
class LineShown:
    """One line: what style, whom, what, when, and the page where it is dealt with."""

    look: str
    chip: str
    locks: bool
    patient: Patient
    about: str
    what: str
    detail: str
    when: str
    late: bool
    page: str
    page_id: str
    verb: str


@dataclass(frozen=True, slots=True)
class WorklistShown:
    """The page."""

    tab: str
    tabs: tuple[TabShown, ...]
    lines: tuple[LineShown, ...]
    heading: str
    empty: tuple[str, str]
    query: str
    as_of: str


def worklist_shown(found: Worklist, *, tab: Tab, query: str, now: datetime) -> WorklistShown:
    """The lines of one tab, those whose name holds `query`."""
    counts = {code: sum(1 for item in found.items if fits(item)) for code, fits in _IN_TAB.items()}
    counts[Tab.PATIENTS] = len(found.patients)
    if tab is Tab.PATIENTS:
        lines = [_patient_line(line.patient, line.last_reading_at, now=now) for line in found.patients]
    else:
        lines = [_line(item, now=now) for item in found.items if _IN_TAB[tab](item)]
    shown = tuple(line for line in lines if query.casefold() in line.patient.shown_name.casefold())
    return WorklistShown(
        tab=tab.value,
        tabs=tuple(TabShown(code.value, _NAMES[code], counts[code], code is tab) for code in Tab),
        lines=shown,
        heading=_NAMES[tab],
        empty=("No patient of that name", "Nothing in this list fits what you typed.") if query else _EMPTY[tab],
        query=query,
        as_of=f"{now:%H:%M} UTC",
    )


def alert_lines(items: Iterable[WorkItem], *, now: datetime) -> tuple[LineShown, ...]:
    """Lines of the page of alerts."""
    return tuple(_line(item, now=now) for item in items)


def _only_informs(item: WorkItem) -> bool:
    """An alert that asks nobody to act: listed under alerts, and on the patient's page."""
    return item.alert is not None and item.alert.severity == AlertSeverity.INFO.value and item.risk is Risk.LOOK


def _line(item: WorkItem, *, now: datetime) -> LineShown:
    if item.alert is not None:
        return _alert_line(item, item.alert, now=now)
    if item.symptom is not None:
        return _symptom_line(item, item.symptom, now=now)
    if item.visit is not None:
        return _visit_line(item, item.visit, now=now)
    if item.loop is None:
        raise ValueError("a line of the worklist is an alert, a recommendation, a symptom or a visit")
    if item.kind is ItemKind.WITHHELD:
        return _withheld_line(item, item.loop, now=now)
    return _recommendation_line(item, item.loop, now=now)


def _alert_line(item: WorkItem, alert: Alert, *, now: datetime) -> LineShown:
    shown = alert_shown(alert, item.evidence, zone=item.patient.zone, now=now)
    detail = [shown.clock]
    detail += ["not yet confirmed"] if shown.unverified else []
    detail += [f"acknowledged by {shown.acknowledged}"] if shown.acknowledged else []
    chip = "Same day" if item.risk is Risk.TODAY else shown.severity
    return LineShown(
        look=_LOOKS[item.risk],
        chip=chip,
        locks=shown.locks,
        patient=item.patient,
        about=about(item.patient, now=now),
        what=f"{shown.name}: {shown.found}" if shown.found else shown.name,
        detail=" · ".join(detail),
        when=shown.escalates or f"raised {shown.since}",
        late=nobody_answers(alert, now=now),
        page="patient",
        page_id=str(item.patient.pk),
        verb="Open",
    )


def _recommendation_line(item: WorkItem, loop: Loop, *, now: datetime) -> LineShown:
    outcome = outcome_of(loop)
    change = change_shown(outcome.get("change"))
    average = _average(outcome)
    return LineShown(
        look=_LOOKS[item.risk],
        chip=words.tier(loop.tier),
        locks=False,
        patient=item.patient,
        about=about(item.patient, now=now),
        what=_what(loop, change),
        detail=f"average {average} mmHg" if average else "no average",
        when=times.due(loop.due_at, now=now),
        late=loop.due_at <= now,
        page="recommendation",
        page_id=str(loop.pk),
        verb="Review",
    )


def _what(loop: Loop, change: ChangeShown | None) -> str:
    if loop.asks_first:
        return words.SAY_FIRST
    return change.sentence if change else words.change_kind(loop.change_kind)


def _visit_line(item: WorkItem, plan: VisitPlan, *, now: datetime) -> LineShown:
    return LineShown(
        look=_LOOKS[item.risk],
        chip="Visit overdue",
        locks=False,
        patient=item.patient,
        about=about(item.patient, now=now),
        what=f"Visit planned for {times.day(plan.due_on)}",
        detail="say whether it was held",
        when=f"was planned {times.ago(item.at, now=now)}",
        late=True,
        page="patient",
        page_id=str(item.patient.pk),
        verb="Open",
    )


def _symptom_line(item: WorkItem, symptom: Symptom, *, now: datetime) -> LineShown:
    blamed = "blamed on a drug: automation for it is paused" if symptom.suspected_ingredient else ""
    return LineShown(
        look=_LOOKS[item.risk],
        chip="Symptom",
        locks=False,
        patient=item.patient,
        about=about(item.patient, now=now),
        what=f"Reported: {words.symptom(symptom.kind)}",
        detail=blamed,
        when=f"felt {times.ago(symptom.felt_at, now=now)}",
        late=False,
        page="patient",
        page_id=str(item.patient.pk),
        verb="Review",
    )


def _withheld_why(loop: Loop, *, now: datetime) -> str:
    """What is so today, or was so on the earlier day of the window."""
    zone = loop.patient.zone
    past = times.local(loop.opened_at, zone).date() < times.local(now, zone).date()
    return (words.withheld_then if past else words.withheld)(loop.withheld_reason)


def _withheld_line(item: WorkItem, loop: Loop, *, now: datetime) -> LineShown:
    average = _average(outcome_of(loop))
    return LineShown(
        look=_LOOKS[item.risk],
        chip="Nothing proposed",
        locks=False,
        patient=item.patient,
        about=about(item.patient, now=now),
        what=f"Because {_withheld_why(loop, now=now)}",
        detail=f"average {average} mmHg" if average else "",
        when=times.ago(item.at, now=now),
        late=False,
        page="patient",
        page_id=str(item.patient.pk),
        verb="Open",
    )


def _patient_line(patient: Patient, last: datetime | None, *, now: datetime) -> LineShown:
    return LineShown(
        look="none",
        chip="",
        locks=False,
        patient=patient,
        about=about(patient, now=now),
        what=f"Last reading {times.ago(last, now=now)}" if last else "No reading yet",
        detail="",
        when="",
        late=False,
        page="patient",
        page_id=str(patient.pk),
        verb="Open",
    )


def about(patient: Patient, *, now: datetime) -> str:
    """Sex and age, what is not on record said so."""
    if patient.born_on is None:
        return f"{words.sex(patient.sex)}, age not on record"
    today = times.local(now, patient.zone).date()
    born = patient.born_on
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return f"{words.sex(patient.sex)}, {years} years"


def _average(outcome: Mapping[str, object]) -> str:
    windows = outcome.get("windows")
    for window in windows if isinstance(windows, list) else []:
        average = window.get("average") if isinstance(window, Mapping) else None
        if average:
            return f"{pressure(average.get('systolic'))}/{pressure(average.get('diastolic'))}"
    return ""
