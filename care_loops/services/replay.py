"""A past recommendation computed again from what was frozen with it, and held against what was kept."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from uuid import UUID

from governance.domain import NotFound
from models.serving import ModelDown

from ..domain.changes import ModelRef
from ..domain.evidence import Evidence, Outcome
from ..domain.loops import Origin
from ..freeze import digest, freeze, thaw
from ..models import Loop
from ..pathways.hypertension import predictors
from ..pathways.hypertension.rules import rules, tables
from ..recommend import Predict, recommend
from ..selectors.access import NOBODY


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """Whether the recommendation comes out the same; else the first field that differs, kept and computed."""

    identical: bool
    first_difference: str | None = None
    kept: str | None = None
    computed: str | None = None
    other_version: tuple[str, ...] = ()  # tables and code that are no longer what they were then


def replay(loop_id: UUID | str) -> ReplayResult:
    """Compute a recommendation again. An order of a clinician has no prediction: only its evidence is checked."""
    loop = Loop.objects.filter(pk=loop_id).first()
    if loop is None:
        raise NotFound(NOBODY)
    if digest(loop.evidence) != loop.evidence_digest:
        return ReplayResult(
            identical=False,
            first_difference="evidence_digest",
            kept=loop.evidence_digest,
            computed=digest(loop.evidence),
        )
    evidence = thaw(loop.evidence, Evidence)
    if loop.origin == Origin.ORDER.value:
        return ReplayResult(identical=True)
    kept = thaw(loop.outcome, Outcome)
    try:
        result = compare(kept, recommend(evidence, rules(), _predictor(evidence.model)))
    except ModelDown:
        result = ReplayResult(identical=False, first_difference="predictor", kept=loop.model_digest)
    return result if result.identical else replace(result, other_version=_other_version(evidence))


def _predictor(model: ModelRef | None) -> Predict:
    """The predictor of then, if it is still here: looked up by digest, without a breaker."""
    if model is None or predictors.digest_of(model.name) != model.digest:
        return predictors.nobody
    return predictors.unguarded(model)


def _other_version(evidence: Evidence) -> tuple[str, ...]:
    """Names of the tables, and of the code, that differ from those the recommendation was made with."""
    now = {table.name: table for table in tables()}
    return tuple(table.name for table in evidence.tables if now.get(table.name) != table)


def compare(kept: Outcome, computed: Outcome) -> ReplayResult:
    """The first field of the outcome that differs."""
    for field in fields(Outcome):
        before, after = getattr(kept, field.name), getattr(computed, field.name)
        if before != after:
            return ReplayResult(
                identical=False, first_difference=field.name, kept=freeze(before), computed=freeze(after)
            )
    return ReplayResult(identical=True)
