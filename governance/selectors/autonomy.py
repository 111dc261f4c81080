"""How far each model has come, and what monitors last measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ..autonomy import Level, rules
from ..models import AutonomyGate, AutonomyStep, ModelMeasurement


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One ladder: a model by its digest, a cohort, an action."""

    digest: str
    cohort: str
    action: str


def earned(cell: Cell) -> Level:
    """The level of one ladder; without a step it observes."""
    steps = AutonomyStep.objects.filter(digest=cell.digest, cohort=cell.cohort, action=cell.action)
    newest = steps.order_by("-seq").values_list("level", flat=True).first()
    return Level(newest) if newest else Level.OBSERVE


def earned_in(digest: str, cohort: str | None = None) -> dict[Cell, AutonomyStep]:
    """The newest step of every ladder of a model, or of those of one cohort."""
    steps = AutonomyStep.objects.filter(digest=digest, **({"cohort": cohort} if cohort is not None else {}))
    newest = steps.order_by("cohort", "action", "-seq").distinct("cohort", "action").select_related("gate")
    return {Cell(step.digest, step.cohort, step.action): step for step in newest}


def measurements(digest: str, cohort: str, *, now: datetime) -> dict[str, Decimal]:
    """What monitors last measured, as far as it is not too old."""
    since = now - timedelta(days=rules().days["measured_within_days"])
    rows = ModelMeasurement.objects.filter(digest=digest, cohort=cohort, measured_at__gt=since, measured_at__lte=now)
    return {row.fact: row.value for row in rows.order_by("measured_at", "entry")}


def gates_waiting() -> list[AutonomyGate]:
    """Gates with one signature, newest first."""
    rows = AutonomyGate.objects.prefetch_related("signatures__signer").select_related("asked_by")
    return [gate for gate in rows.order_by("-asked_at") if len(gate.signatures.all()) == 1]


def steps_of(digest: str) -> list[AutonomyStep]:
    """Every step of a model's ladders, newest first."""
    return list(AutonomyStep.objects.filter(digest=digest).select_related("gate", "by").order_by("-at", "-seq"))
