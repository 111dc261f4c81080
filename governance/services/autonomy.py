"""A ladder for each model, cohort and action: raised by a signed gate, lowered by a rule (PEERS 4 leap 7).

Rules
 * What was measured is handed in by who can measure it and recomputed at each signature; here it is held against the
   rows of the gate. Who asks signs; the second signature, of another person with another role, raises.
 * Lowering needs nobody: a rule of this server lowers. No model, device or job ever raises.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from audit.domain import Esign, Event, ModelRef, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..autonomy import GateNotMet, Level, Measured, ModelKind, check_gate, rules
from ..domain import BadInput, NotAllowed, NotFound, Permission, Refusal, Relation
from ..models import AutonomyGate, AutonomyStep, GateSignature, ModelMeasurement
from ..permissions import check
from ..selectors.autonomy import Cell, earned
from .acting import Acting
from .signatures import sign
from .signing import Act

_SITE = frozenset({Relation.SITE})
Measure = Callable[[str, str], Measured]  # by cohort and action


class GateOver(Refusal):
    """This gate was signed by this person or role, or has raised what it raises."""

    code = "gate_over"


@dataclass(frozen=True, slots=True)
class ModelNamed:
    """A model by its name, version and the digest of what runs, and its kind."""

    name: str
    version: str
    digest: str
    kind: ModelKind


def ask_gate(
    model: ModelNamed,
    level: Level,
    *,
    cohorts: Sequence[str],
    actions: Sequence[str],
    measure: Measure,
    by: Acting,
    now: datetime,
) -> AutonomyGate:
    """Put the evidence for a level forward, signed. Refuses a level that the evidence does not carry in every cell."""
    acted = by.under(check(Permission.RAISE_AUTONOMY, by.standing, _SITE))
    if not cohorts or not actions or level is Level.OBSERVE:
        raise BadInput("A gate names a level above observing, cohorts and actions.", field="level")
    evidence = _held(model, level, cohorts, actions, measure)
    with transaction.atomic():
        gate = AutonomyGate(
            id=by.drawn("gate"),
            model_name=model.name,
            model_version=model.version,
            digest=model.digest,
            kind=model.kind.value,
            cohorts=sorted(set(cohorts)),
            actions=sorted(set(actions)),
            level=level.value,
            evidence=json.dumps(evidence, sort_keys=True),
            rules=rules().version,
            asked_at=now,
            asked_by=by.person(),
        )
        content = gate_content(gate)
        act = Act("autonomy.gate_signed", ObjectRef("autonomy_gate", str(gate.pk), 2))
        signature, esign = sign(content, act=act, meaning="puts this evidence forward", by=acted, now=now)
        gate.entry = _enter("autonomy.gate_asked", gate, {**content, "measured": evidence}, 1, by=acted, now=now)
        gate.save(force_insert=True)
        _signed(gate, acted, signature, esign, content, 2, now=now)
        return gate


def sign_gate(gate_id: UUID, *, measure: Measure, by: Acting, now: datetime) -> AutonomyGate:
    """The second signature: the evidence is measured again, and the level rises in every cell of the gate."""
    acted = by.under(check(Permission.RAISE_AUTONOMY, by.standing, _SITE))
    with transaction.atomic():
        _alone(f"gate:{gate_id}")
        gate = AutonomyGate.objects.filter(pk=gate_id).first()
        if gate is None:
            raise NotFound("There is no such gate.")
        _check_second(gate, acted)
        model = ModelNamed(gate.model_name, gate.model_version, gate.digest, ModelKind(gate.kind))
        _held(model, Level(gate.level), gate.cohorts, gate.actions, measure)
        content, version = gate_content(gate), next_version("autonomy_gate", str(gate.pk))
        act = Act("autonomy.gate_signed", ObjectRef("autonomy_gate", str(gate.pk), version))
        signature, esign = sign(content, act=act, meaning="raises this model to this level", by=acted, now=now)
        _signed(gate, acted, signature, esign, content, version, now=now)
        for cohort in gate.cohorts:
            for action in gate.actions:
                _raise(gate, Cell(gate.digest, cohort, action), by=acted, now=now)
        return gate


def _check_second(gate: AutonomyGate, acted: Acting) -> None:
    signed = list(gate.signatures.all())
    if len(signed) != 1:
        raise GateOver("This gate has its signatures.")
    if signed[0].signer_id == acted.person().pk:
        raise NotAllowed("Another person gives the second signature.", missing="another_person")
    if signed[0].role == getattr(acted.actor, "role", ""):
        raise NotAllowed("The second signature is of another role.", missing="another_role")


def _held(
    model: ModelNamed, level: Level, cohorts: Sequence[str], actions: Sequence[str], measure: Measure
) -> dict[str, Any]:
    """What was measured, cell by cell; refuses the first cell that the gate does not let through."""
    found = {}
    for cohort in sorted(set(cohorts)):
        for action in sorted(set(actions)):
            measured = measure(cohort, action)
            try:
                check_gate(model.kind, level, measured, rules())
            except GateNotMet as refusal:
                raise GateNotMet(refusal.detail, cohort=cohort, action=action, **refusal.extra) from refusal
            found[f"{cohort}:{action}"] = shown(measured)
    return found


def shown(measured: Measured) -> dict[str, Any]:
    """What was measured, as JSON: decimals as text."""
    return {
        **{name: _plain(value) for name, value in asdict(measured).items()},
        "decided": measured.decided,
        "override_share": _plain(measured.override_share),
        "override_surge": measured.override_surge,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return [list(week.values()) for week in value] if isinstance(value, tuple) else value


def _raise(gate: AutonomyGate, cell: Cell, *, by: Acting, now: datetime) -> None:
    stood = earned(cell)
    level = Level(gate.level)
    if level.rank > stood.rank:
        _step(cell, stood, level, gate=gate, rule="", by=by, now=now)


def lower(cell: Cell, level: Level, *, rule: str, by: Acting, now: datetime) -> AutonomyStep | None:
    """Lower a cell because a rule spoke, in a transaction of the caller's or its own. None when it stands no higher."""
    with transaction.atomic():
        _alone(f"autonomy:{cell.digest}:{cell.cohort}:{cell.action}")
        stood = earned(cell)
        if level.rank >= stood.rank:
            return None
        return _step(cell, stood, level, gate=None, rule=rule, by=by, now=now)


def _step(
    cell: Cell, before: Level, level: Level, *, gate: AutonomyGate | None, rule: str, by: Acting, now: datetime
) -> AutonomyStep:
    newest = AutonomyStep.objects.filter(digest=cell.digest, cohort=cell.cohort, action=cell.action)
    last = newest.order_by("-seq").values_list("seq", flat=True).first() or 0
    key = uuid4()
    said = {"digest": cell.digest, "cohort": cell.cohort, "action": cell.action, "before": before.value}
    said |= {"level": level.value, "gate": str(gate.pk) if gate else "", "rule": rule}
    event = Event(
        type="autonomy.raised" if gate else "autonomy.lowered",
        occurred_at=now,
        actor=by.actor,
        object=ObjectRef("autonomy", str(key), 1),
        purpose=Purpose.OPERATIONS,
        reason_code="gate" if gate else rule.split(" ", maxsplit=1)[0],
        payload=said,
    )
    entry = append(event).entry_id
    return AutonomyStep.objects.create(
        id=key,
        digest=cell.digest,
        cohort=cell.cohort,
        action=cell.action,
        seq=last + 1,
        before=before.value,
        level=level.value,
        gate=gate,
        rule=rule,
        at=now,
        by=by.user,
        entry=entry,
    )


def record_measurement(
    digest: str, cohort: str, fact: str, value: Decimal, *, by: Acting, now: datetime
) -> ModelMeasurement:
    """Keep what a monitor measured: `drift` (population stability index) or `calibration_error` (0 to 1)."""
    if by.kind not in ("service", "user"):
        raise NotAllowed("A model does not measure itself.", missing="monitor")
    if by.user is not None:
        check(Permission.RAISE_AUTONOMY, by.standing, _SITE)
    if fact not in ("drift", "calibration_error") or not value.is_finite() or value < 0:
        raise BadInput("A monitor measures drift or calibration_error, zero or more.", field="fact")
    with transaction.atomic():
        key = uuid4()
        said = {"digest": digest, "cohort": cohort, "fact": fact, "value": format(value, "f")}
        event = Event(
            type="autonomy.measured",
            occurred_at=now,
            actor=by.actor,
            object=ObjectRef("measurement", str(key), 1),
            purpose=Purpose.OPERATIONS,
            payload=said,
        )
        entry = append(event).entry_id
        return ModelMeasurement.objects.create(
            id=key, digest=digest, cohort=cohort, fact=fact, value=value, measured_at=now, by=by.user, entry=entry
        )


def gate_content(gate: AutonomyGate) -> dict[str, Any]:
    """What is signed under a gate: the very cells, the level, the rules and the digest of the evidence."""
    return {
        "gate": str(gate.pk),
        "model": f"{gate.model_name}@{gate.model_version}",
        "digest": gate.digest,
        "cohorts": list(gate.cohorts),
        "actions": list(gate.actions),
        "level": gate.level,
        "rules": gate.rules,
        "evidence_sha256": hashlib.sha256(gate.evidence.encode()).hexdigest(),
    }


def _signed(
    gate: AutonomyGate,
    acted: Acting,
    signature: Any,
    esign: Esign,
    content: Mapping[str, Any],
    version: int,
    *,
    now: datetime,
) -> None:
    entry = _enter("autonomy.gate_signed", gate, content, version, by=acted, now=now, esign=esign)
    GateSignature.objects.create(
        gate=gate,
        signer=acted.person(),
        role=getattr(acted.actor, "role", ""),
        signed_at=now,
        signature=signature,
        entry=entry,
    )


def _enter(
    kind: str,
    gate: AutonomyGate,
    said: Mapping[str, Any],
    version: int,
    *,
    by: Acting,
    now: datetime,
    esign: Esign | None = None,
) -> UUID:
    event = Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=ObjectRef("autonomy_gate", str(gate.pk), version),
        purpose=Purpose.OPERATIONS,
        model=ModelRef(gate.model_name, gate.model_version, gate.digest),
        esign=esign,
        payload=dict(said),
    )
    return append(event).entry_id


def _alone(key: str) -> None:
    with connection.cursor() as cursor:  # rows that only grow cannot be locked
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
