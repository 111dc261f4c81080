"""The clinician's worklist and recommendation as JSON: the same facts the pages show, for tools."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ..models import Alert, Decision, FirstAnswer, Loop, Patient
from ..selectors.worklist import WorkItem
from . import words
from .changes import CandidateShown, RuleShown
from .recommendation import recommendation_shown


def work_item(item: WorkItem) -> dict[str, Any]:
    """One thing that waits."""
    row = item.alert or item.loop or item.symptom or item.visit
    if row is None:
        raise ValueError("a work item is of an alert, a loop, a symptom or a visit")
    return {
        "kind": item.kind.value,
        "id": str(row.pk),
        "risk": item.risk.name.lower(),
        "patient": _patient(item.patient),
        "at": item.at.isoformat(),
        "due_at": item.due_at.isoformat() if item.due_at else None,
        "words": _words(item),
    }


def _words(item: WorkItem) -> str:
    if item.alert is not None:
        return words.alert_kind(item.alert.kind)
    if item.symptom is not None:
        return words.symptom(item.symptom.kind)
    if item.visit is not None:
        return "Visit overdue"
    if item.loop is None:
        return ""
    if item.loop.asks_first:
        return words.SAY_FIRST
    if item.loop.withheld_reason:
        return words.withheld(item.loop.withheld_reason)
    return words.change_kind(item.loop.change_kind)


def recommendation(loop: Loop, *, now: datetime) -> dict[str, Any]:
    """One recommendation with what was considered."""
    shown = recommendation_shown(loop, now=now)
    return {
        "id": str(loop.pk),
        "patient": _patient(loop.patient),
        "state": loop.state,
        "version": loop.version,
        "tier": loop.tier,
        "heading": shown.heading,
        "decide_first": loop.asks_first,
        "withheld": shown.withheld,
        "candidates": _candidates(shown.candidates),
        "opened_at": loop.opened_at.isoformat(),
        "due_at": loop.due_at.isoformat(),
        "expires_at": loop.expires_at.isoformat(),
        "evidence_digest": loop.evidence_digest,
        "decision_evidence": shown.decision.evidence_word if shown.decision else None,
    }


def decided(decision: Decision) -> dict[str, Any]:
    """A signed decision."""
    return {
        "id": str(decision.pk),
        "recommendation": str(decision.loop_id),
        "kind": decision.kind,
        "decided_by": decision.decided_by.printed_name,
        "decided_at": decision.decided_at.isoformat(),
        "signature": str(decision.signature_id),
    }


def answered(answer: FirstAnswer) -> dict[str, Any]:
    """What somebody would do, as it was recorded."""
    return {
        "id": str(answer.pk),
        "recommendation": str(answer.loop_id),
        "answer": answer.answer,
        "said_at": answer.said_at.isoformat(),
    }


def ordered(loop: Loop) -> dict[str, Any]:
    """A change a clinician wrote."""
    return {"recommendation": str(loop.pk), "state": loop.state, "version": loop.version}


def alert_state(alert: Alert) -> dict[str, Any]:
    """Where an alert stands."""
    return {
        "id": str(alert.pk),
        "acknowledged_at": alert.acknowledged_at.isoformat() if alert.acknowledged_at else None,
        "disposed_at": alert.disposed_at.isoformat() if alert.disposed_at else None,
    }


def _patient(patient: Patient) -> dict[str, str]:
    return {"id": str(patient.pk), "name": patient.shown_name}


def _candidates(shown: Iterable[CandidateShown]) -> list[dict[str, Any]]:
    return [
        {
            "key": one.change.key,
            "sentence": one.change.sentence,
            "barred": one.barred,
            "cautioned": one.cautioned,
            "rules": [_rule(rule) for rule in one.rules],
        }
        for one in shown
    ]


def _rule(rule: RuleShown) -> dict[str, str]:
    return {"code": rule.code, "severity": rule.severity, "words": rule.words, "citation": rule.citation}
