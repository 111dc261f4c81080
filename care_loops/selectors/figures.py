"""What the loops came to, counted from the record: windows, proposals, decisions, alerts and how soon they came.

The time from receipt to alert is between two entries of the record by the database's own clock: the one of what was
received and the one of the alert it raised. Simulated time has no part in it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median
from uuid import UUID

from audit.selectors import recorded_at

from ..domain.loops import DecisionKind, LoopState, Origin
from ..models import Alert, AlertEvent, BloodPressure, Condition, Decision, Lab, Loop, Patient, RegimenEntry, Symptom

EVIDENCE = (BloodPressure, Lab, Symptom, Condition, RegimenEntry)


@dataclass(frozen=True, slots=True)
class AlertsOfKind:
    """How many alerts of one kind were raised, and the median seconds from receipt to alert where it is known."""

    n: int
    median_seconds: float | None


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """The loop in numbers. Orders of clinicians without a proposal are not counted."""

    patients: int
    windows_averaged: int
    windows_insufficient: int
    proposals_by_tier: dict[str, int]
    withheld: dict[str, int]
    decisions: dict[str, int]
    alerts: dict[str, AlertsOfKind]


def loop_figures() -> LoopFigures:
    """Count everything there is."""
    tiers, withheld, averaged, windows = Counter[str](), Counter[str](), 0, 0
    proposals = Loop.objects.filter(origin=Origin.PROPOSAL.value)
    for state, tier, reason, outcome in proposals.values_list("state", "tier", "withheld_reason", "outcome").iterator():
        newest = (json.loads(outcome)["windows"] or [{}])[0]
        windows += 1
        averaged += newest.get("average") is not None
        if state == LoopState.WITHHELD.value:
            withheld[reason] += 1
        else:
            tiers[tier] += 1
    kinds = Counter(Decision.objects.filter(loop__origin=Origin.PROPOSAL.value).values_list("kind", flat=True))
    return LoopFigures(
        patients=Patient.objects.filter(merged_into__isnull=True).count(),
        windows_averaged=averaged,
        windows_insufficient=windows - averaged,
        proposals_by_tier=dict(sorted(tiers.items())),
        withheld=dict(sorted(withheld.items())),
        decisions={kind.value: kinds[kind.value] for kind in DecisionKind},
        alerts=_alerts(),
    )


def _alerts() -> dict[str, AlertsOfKind]:
    raised = dict(Alert.objects.values_list("pk", "kind"))
    took = _seconds()
    of_kind: dict[str, list[float | None]] = defaultdict(list)
    for alert, kind in raised.items():
        of_kind[kind].append(took.get(alert))
    found = {}
    for kind, seconds in sorted(of_kind.items()):
        known = [s for s in seconds if s is not None]
        found[kind] = AlertsOfKind(len(seconds), round(median(known), 4) if known else None)
    return found


def _seconds() -> dict[UUID, float]:
    """For each alert whose evidence is a row of the record: seconds from the row's entry to the alert's."""
    first = AlertEvent.objects.filter(kind="raised").values_list("alert_id", "evidence", "entry")
    events = [(alert, _as_uuid(evidence), entry) for alert, evidence, entry in first]
    received: dict[UUID, UUID] = {}
    wanted = {evidence for _, evidence, _ in events if evidence is not None}
    for table in EVIDENCE:
        received |= dict(table.objects.filter(pk__in=wanted).values_list("pk", "entry"))
    at = recorded_at([*received.values(), *(entry for _, _, entry in events)])
    took = {}
    for alert, evidence, entry in events:
        came = received.get(evidence) if evidence is not None else None
        if came in at and entry in at:
            took[alert] = (at[entry] - at[came]).total_seconds()
    return took


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
