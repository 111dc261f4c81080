"""Words of oversight: suspensions, findings, incidents and autonomy, as the pages say them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.urls import NoReverseMatch, reverse

from ..autonomy import Level
from ..domain import Permission, Role
from ..findings import About, FindingState, Severity, overdue
from ..incidents import IncidentClass, IncidentState
from ..models import Finding, Suspension
from ..permissions import TABLE
from ..services.findings import last_event, severity_of
from ..suspension import Cause, Scope
from .record import stamp

SCOPES: Mapping[str, str] = {
    Scope.EVERYTHING.value: "Everything",
    Scope.PATHWAY.value: "Pathway",
    Scope.MODEL.value: "Model",
    Scope.BOUNDARY.value: "Boundary",
    Scope.DEVICE_TYPE.value: "Device type",
    Scope.COHORT.value: "Group of patients",
    About.RECORD.value: "The record",
    About.PROCESS.value: "How we work",
}
CAUSES: Mapping[Cause, str] = {
    Cause.FINDING: "a critical finding",
    Cause.KILL_SWITCH: "the kill switch",
    Cause.AUTOMATIC_RULE: "an automatic rule",
}
SEVERITIES: Mapping[Severity, str] = {
    Severity.MINOR: "minor",
    Severity.MAJOR: "major",
    Severity.CRITICAL: "critical",
}
STATES: Mapping[FindingState, str] = {
    FindingState.OPEN: "open, nobody owns it",
    FindingState.OWNED: "owned",
    FindingState.ACTION_RECORDED: "action recorded, to be checked",
    FindingState.CHECKED: "checked, to be closed",
    FindingState.CLOSED: "closed",
    FindingState.REOPENED: "came back, nobody owns it",
}
CLASSES: Mapping[IncidentClass, str] = {
    IncidentClass.SERIOUS: "Serious incident",
    IncidentClass.DEATH: "Death, or unanticipated serious deterioration",
    IncidentClass.THREAT: "Serious public health threat",
    IncidentClass.DATA_BREACH: "Breach of personal data",
    IncidentClass.NO_REPORT: "No report needed",
}
INCIDENT_STATES: Mapping[IncidentState, str] = {
    IncidentState.OPEN: "open",
    IncidentState.ASSESSED: "assessed",
    IncidentState.REPORTED: "reported to an authority",
    IncidentState.CLOSED: "closed",
}
LEVELS: Mapping[Level, str] = {
    Level.OBSERVE: "observes",
    Level.SUGGEST: "suggests",
    Level.APPROVE_EACH: "each one approved",
    Level.WITHIN_BOUNDARY: "within the boundary",
}
_TABS: tuple[tuple[str, str, Permission], ...] = (
    ("oversight", "Stopped", Permission.SEE_OVERSIGHT),
    ("findings", "Findings", Permission.SEE_OVERSIGHT),
    ("incidents", "Incidents", Permission.SEE_OVERSIGHT),
    ("adverse-events", "Adverse events", Permission.SEE_OVERSIGHT),
    ("autonomy", "Autonomy", Permission.SEE_OVERSIGHT),
    ("decision-figures", "Decisions", Permission.SEE_DECISION_FIGURES),
    ("own-decisions", "Your own decisions", Permission.SEE_OWN_DECISIONS),
)


def oversight_tabs(roles: Iterable[Role], *, here: str) -> list[dict[str, object]]:
    """The pages of oversight, `here` marked; none for who may see none."""
    held = tuple(roles)
    found: list[dict[str, object]] = []
    for name, words, permission in _TABS:
        if not any((permission, role) in TABLE for role in held):
            continue
        try:
            found.append({"href": reverse(name), "words": words, "here": name == here})
        except NoReverseMatch:
            continue
    return found


def thing(scope: str, name: str) -> str:
    """What is named: `Model home_bp@1`, `Everything`."""
    return f"{SCOPES[scope]} {name.replace('_', ' ') if scope == Scope.COHORT else name}".strip()


def stopped_line(row: Suspension) -> str:
    """A suspension in a line for the banner."""
    return f"{thing(row.scope, row.name)}: stopped by {CAUSES[Cause(row.cause)]}"


@dataclass(frozen=True, slots=True)
class FindingShown:
    """One line of the list of findings."""

    finding: Finding
    about: str
    severity: str
    state: str
    closed: bool
    owner: str
    due: str
    late: bool
    times: int


def finding_line(finding: Finding, *, now: datetime) -> FindingShown:
    """A finding as its line says it."""
    last, severity = last_event(finding), severity_of(finding)
    state = FindingState(last.state)
    return FindingShown(
        finding=finding,
        about=thing(finding.subject, finding.name),
        severity=SEVERITIES[severity],
        state=STATES[state],
        closed=state is FindingState.CLOSED,
        owner=last.owner.printed_name if last.owner else "nobody",
        due=stamp(last.due_at),
        late=overdue(last.due_at, state, now),
        times=finding.occurrences.count(),
    )
