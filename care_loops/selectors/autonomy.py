"""What is known of a model for one cohort and action, measured from real decisions, and the levels in force now.

Rules (PEERS 4 leap 7; CLINICAL 4.3)
 * An override is a decision other than approving, by a clinician, on what this very digest proposed to this cohort.
 * Nothing is remembered between two proposals: a level is what was earned, held against what is measured now.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from governance.autonomy import Level, Measured, ModelKind, Point, in_force, rules
from governance.models import GateSignature
from governance.selectors.autonomy import Cell, earned_in, measurements
from governance.selectors.suspensions import standing
from governance.suspension import Cause, Ref, Scope, about, touching
from models.registry.models import ModelVersion

from ..domain.changes import ChangeKind
from ..domain.evidence import LevelOf
from ..domain.loops import DecisionKind, Origin
from ..domain.refusals import Withheld
from ..models import Decision, Loop
from ..pathways.hypertension.predictors import PROTOCOLS, digest_of

ACTIONS: tuple[str, ...] = tuple(kind.value for kind in ChangeKind if kind is not ChangeKind.STAY)
_WEEK = timedelta(days=7)


def kind_of(version: ModelVersion) -> ModelKind:
    """A protocol as this release ships it, to the byte; anything else was learned, or is taken for it."""
    shipped = version.name in PROTOCOLS and digest_of(version.name) == version.digest
    return ModelKind.PROTOCOL if shipped else ModelKind.LEARNED


def levels_now(version: ModelVersion, cohorts: Iterable[str], *, now: datetime) -> tuple[LevelOf, ...]:
    """How far this model may go now with each kind of change, for a person of these cohorts."""
    found = []
    for cohort in cohorts:
        held = earned_in(version.digest, cohort)
        known = measured(version, cohort, now=now)
        for action in ACTIONS:
            step = held.get(Cell(version.digest, cohort, action))
            level = in_force(Level(step.level) if step else Level.OBSERVE, known[action], rules())
            found.append(LevelOf(action, level.level.value, level.reasons))
    return tuple(found)


def measured(version: ModelVersion, cohort: str, *, now: datetime) -> dict[str, Measured]:
    """What is known for each action in one cohort, as of `now`."""
    about_it = about(pathway=version.pathway, model=(version.name, version.version), cohorts=[cohort])
    touched = touching(standing(), about_it - {Ref(Scope.COHORT, "")})
    decided = _decisions(version.digest, cohort, now=now)
    monitors = measurements(version.digest, cohort, now=now)
    reviewed = _last_review(version)
    approvals = version.approvals.filter(digest=version.digest).exclude(approver=version.registered_by)
    said = {
        "stopped": bool(touched),
        "open_critical": any(one.cause is Cause.FINDING for one in touched),
        "drift": monitors.get("drift"),
        "calibration_error": monitors.get("calibration_error"),
        "review_age_days": (now - reviewed).days if reviewed else None,
        "approvals": approvals.values("approver").distinct().count(),
        "published": kind_of(version) is ModelKind.PROTOCOL,
        "observed": Loop.objects.filter(
            model_digest=version.digest, cohort=cohort, withheld_reason=Withheld.OBSERVED.value
        ).count(),
    }
    found = {}
    for action in ACTIONS:
        weeks, before = _chart_of([(at, over) for done, at, over in decided if done == action], now=now)
        found[action] = Measured(weeks=weeks, before=before, **said)  # type: ignore[arg-type]  # the fields by name
    return found


def _decisions(digest: str, cohort: str, *, now: datetime) -> list[tuple[str, datetime, bool]]:
    """Action, moment, and whether it went otherwise than proposed; of the periods that are looked at."""
    days = rules().days
    since = now - timedelta(days=days["recent_days"] + days["baseline_days"])
    rows = Decision.objects.filter(
        loop__model_digest=digest,
        loop__cohort=cohort,
        loop__origin=Origin.PROPOSAL.value,
        decided_at__gt=since,
        decided_at__lte=now,
    )
    listed = rows.values_list("loop__change_kind", "decided_at", "kind")
    return [(action, at, kind != DecisionKind.APPROVE.value) for action, at, kind in listed]


def _chart_of(decided: list[tuple[datetime, bool]], *, now: datetime) -> tuple[tuple[Point, ...], Point]:
    """The recent weeks, oldest first, and the period before them."""
    weeks = -(-rules().days["recent_days"] // _WEEK.days)
    recent = [[0, 0] for _ in range(weeks)]
    before = [0, 0]
    for at, over in decided:
        ago = (now - at) // _WEEK
        held = recent[weeks - 1 - ago] if ago < weeks else before
        held[0] += 1
        held[1] += over
    return tuple(Point(n, k) for n, k in recent), Point(*before)


def _last_review(version: ModelVersion) -> datetime | None:
    """When somebody last approved this digest or signed a gate of it."""
    approved = version.approvals.filter(digest=version.digest).order_by("-approved_at")
    signed = GateSignature.objects.filter(gate__digest=version.digest).order_by("-signed_at")
    found = [
        *approved.values_list("approved_at", flat=True)[:1],
        *signed.values_list("signed_at", flat=True)[:1],
    ]
    return max(found, default=None)
