"""Autonomy of the models that serve the loops: gates over what is measured here, and the clock that lowers.

Rules (PEERS 4 leap 7)
 * What a gate rests on is measured here, from the record, at each of its two signatures; nobody types it in.
 * The clock lowers every ladder whose rules speak, and keeps it lowered: only a new gate raises it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from governance.autonomy import Level, Measured, in_force, rules
from governance.domain import BadInput, NotFound
from governance.models import AutonomyGate
from governance.selectors.autonomy import Cell, earned_in
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting
from governance.services.autonomy import ModelNamed, ask_gate, lower, sign_gate
from models.registry.models import ModelVersion

from ..pathways.hypertension.tables_cohorts import cohorts as all_cohorts
from ..selectors.autonomy import ACTIONS, kind_of, measured

COHORTS: tuple[str, ...] = tuple(cohort.name for cohort in all_cohorts())


@looking_wider(Wider.OVERSIGHT)
def ask_level(
    version_id: UUID, level: Level, *, cohorts: Sequence[str], actions: Sequence[str], by: Acting, now: datetime
) -> AutonomyGate:
    """Put the evidence for a level forward, signed, over these cohorts and actions. Raises GateNotMet."""
    version = _version(version_id)
    unknown = sorted({*cohorts} - {*COHORTS} | {*actions} - {*ACTIONS})
    if unknown:
        raise BadInput(f"There is no cohort or action {unknown[0]}.", field="cohorts")
    named = ModelNamed(version.name, version.version, version.digest, kind_of(version))
    measure = _Measuring(version, now)
    return ask_gate(named, level, cohorts=cohorts, actions=actions, measure=measure, by=by, now=now)


@looking_wider(Wider.OVERSIGHT)
def sign_level(gate_id: UUID, *, by: Acting, now: datetime) -> AutonomyGate:
    """The second signature: measured anew, and raised."""
    gate = AutonomyGate.objects.filter(pk=gate_id).first()
    version = ModelVersion.objects.filter(digest=gate.digest).first() if gate else None
    if version is None:
        raise NotFound("There is no such gate, or its model is not registered.")
    return sign_gate(gate_id, measure=_Measuring(version, now), by=by, now=now)


def let_it_go_as_far(
    version: ModelVersion, level: Level, *, signers: tuple[Acting, Acting], now: datetime
) -> AutonomyGate:
    """A level for every cohort and action at once: one asks, the other signs."""
    first, second = signers
    gate = ask_level(version.pk, level, cohorts=COHORTS, actions=ACTIONS, by=first, now=now)
    return sign_level(gate.pk, by=second, now=now)


def lower_by_rules(*, by: Acting, now: datetime) -> int:
    """Lower every ladder of a model that serves whose rules speak. Returns how many were lowered."""
    lowered = 0
    for version in ModelVersion.objects.filter(active=True):
        steps = earned_in(version.digest)
        for cohort in sorted({cell.cohort for cell in steps}):
            known = measured(version, cohort, now=now)
            for action in ACTIONS:
                step = steps.get(Cell(version.digest, cohort, action))
                found = in_force(Level(step.level), known[action], rules()) if step else None
                if found and found.reasons:
                    cell = Cell(version.digest, cohort, action)
                    lowered += lower(cell, found.level, rule=" ".join(found.reasons), by=by, now=now) is not None
    return lowered


class _Measuring:
    """What is measured of one model at one moment, cohort by cohort, once each."""

    def __init__(self, version: ModelVersion, now: datetime) -> None:
        self.version, self.now = version, now
        self.known: dict[str, dict[str, Measured]] = {}

    def __call__(self, cohort: str, action: str) -> Measured:
        if cohort not in self.known:
            self.known[cohort] = measured(self.version, cohort, now=self.now)
        return self.known[cohort][action]


def _version(version_id: UUID) -> ModelVersion:
    found = ModelVersion.objects.filter(pk=version_id).first()
    if found is None:
        raise NotFound("There is no such model.")
    return found
