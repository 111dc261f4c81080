"""Incidents, adverse events and ladders as their pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.entries import pseudonym
from audit.services import keys
from governance.autonomy import Level, in_force, rules
from governance.incidents import IncidentClass, IncidentState, deadlines
from governance.models import AutonomyGate, Incident
from governance.presenters.oversight import CLASSES, INCIDENT_STATES, LEVELS, thing
from governance.presenters.record import short, stamp
from governance.selectors.autonomy import Cell, earned_in
from models.registry.models import ModelVersion

from ..domain.adverse import AdverseKind
from ..domain.changes import ChangeKind
from ..domain.loops import LoopState
from ..pathways.hypertension.tables_cohorts import cohorts
from ..selectors.affected import Rate, Touched
from ..selectors.autonomy import ACTIONS, measured
from .vocabulary import ADVERSE, KINDS, STATES


@dataclass(frozen=True, slots=True)
class IncidentShown:
    """One line of the list of incidents."""

    incident: Incident
    about: str
    of: str
    state: str
    over: bool
    due: tuple[dict[str, Any], ...]


def incident_line(row: Incident, *, now: datetime) -> IncidentShown:
    """An incident with its clocks, the earliest first."""
    last = max(row.events.all(), key=lambda event: event.seq)
    state = IncidentState(last.state)
    over = state in (IncidentState.REPORTED, IncidentState.CLOSED)
    due = tuple(
        {
            "authority": d.clock.authority,
            "act": d.clock.act,
            "at": stamp(d.due_at),
            "late": not over and now > d.due_at,
            "mark": d.clock.mark,
        }
        for d in deadlines(IncidentClass(last.of), aware_at=row.aware_at)
    )
    about = thing(row.subject, row.name)
    return IncidentShown(row, about, CLASSES[IncidentClass(last.of)], INCIDENT_STATES[state], over, due)


def events_shown(row: Incident) -> list[dict[str, str]]:
    """Its steps, newest first."""
    return [
        {
            "state": INCIDENT_STATES[IncidentState(event.state)],
            "of": CLASSES[IncidentClass(event.of)],
            "at": stamp(event.at),
            "by": event.by.printed_name,
            "authority": event.authority,
            "reference": event.reference,
            "said": event.said,
        }
        for event in row.events.select_related("by").order_by("-seq")
    ]


def touched_shown(one: Touched, names: Mapping[str, str]) -> dict[str, str]:
    """One recommendation, its patient under the pseudonym of the record."""
    return {
        "patient": short(pseudonym(str(one.patient_id), tenant_key=keys.tenant_key())),
        "recommendation": str(one.loop_id),
        "at": stamp(one.opened_at),
        "state": STATES[LoopState(one.state)],
        "model": one.model or "none",
        "decision": f"{one.decision}, {names.get(one.decided_by, short(one.decided_by))}" if one.decision else "none",
    }


def rates_shown(rates: list[Rate]) -> list[dict[str, Any]]:
    """Rates in words and numbers."""
    return [
        {
            "pathway": rate.pathway,
            "model": rate.model,
            "site": rate.site or "this site",
            "events": rate.events,
            "months": rate.patient_months,
            "per_100": "no patient-time yet" if rate.per_100 is None else rate.per_100,
            "kinds": ", ".join(f"{ADVERSE[AdverseKind(kind)]} {n}" for kind, n in rate.by_kind),
        }
        for rate in rates
    ]


def ladder_shown(version: ModelVersion, *, now: datetime) -> dict[str, Any]:
    """One model: a row for each group and change, its place on the ladder, and why it stands there."""
    steps = earned_in(version.digest)
    words = {row.row_id: row.words for row in rules().lowering}
    lines = []
    for cohort in cohorts():
        known = measured(version, cohort.name, now=now)
        for action in ACTIONS:
            step = steps.get(Cell(version.digest, cohort.name, action))
            held = in_force(Level(step.level) if step else Level.OBSERVE, known[action], rules())
            why = [words[reason] for reason in held.reasons] or [_why(step, words)]
            lines.append(
                {
                    "cohort": cohort.name.replace("_", " "),
                    "action": KINDS[ChangeKind(action)],
                    "level": LEVELS[held.level],
                    "rank": held.level.rank,
                    "rungs": [{"words": LEVELS[each], "reached": each.rank <= held.level.rank} for each in Level],
                    "why": " ".join(why),
                    "decided": known[action].decided,
                }
            )
    return {"version": version, "lines": lines}


def _why(step: Any, words: dict[str, str]) -> str:
    if step is None:
        return "Nobody has signed for more."
    if step.gate is not None:
        return f"Raised by a gate signed by two, {stamp(step.at)}."
    return f"Lowered {stamp(step.at)}: " + " ".join(words.get(rule, rule) for rule in step.rule.split(" "))


def gate_shown(gate: AutonomyGate) -> dict[str, Any]:
    """A gate that waits."""
    return {
        "gate": gate,
        "level": LEVELS[Level(gate.level)],
        "cohorts": ", ".join(c.replace("_", " ") for c in gate.cohorts),
        "actions": ", ".join(KINDS[ChangeKind(a)] for a in gate.actions),
        "by": gate.asked_by.printed_name,
        "at": stamp(gate.asked_at),
    }
