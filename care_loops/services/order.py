"""A clinician writes a change without a proposal: same checks, same signature, same trail.

Rules
 * The candidates are those the rules list for this patient now; a hard rule stops an order unless the clinician
   overrides it by name with a reason in words. What is never to be given (pregnancy, angio-oedema) no order overrides.
 * Only what names a dose can be ordered, or a stop, or a change of timing: no override makes a dose.
 * A danger lock does not stop a clinician's own order; it is shown, and what spoke is recorded.
 * A waiting proposal gives way to the order and is withdrawn by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.services import enqueue
from governance.domain import BadInput, Permission
from governance.services import Acting

from ..candidates import list_candidates
from ..contraindications import Predicate
from ..domain.changes import STAY, Candidate, Change, ChangeKind, Severity
from ..domain.evidence import Evidence, Outcome, candidate_key
from ..domain.loops import DecisionKind, LoopState, Origin
from ..freeze import freeze
from ..models import Loop, Patient
from ..pathways.hypertension.rules import rules, rules_under, tables
from ..policies import NotNow
from ..recommend import Seen, look
from ..selectors.access import patient_for, role_for
from ..selectors.due import WAITING
from ..selectors.evidence import assemble
from ..selectors.record import record_ids
from ..transitions import OPEN
from .decide import DecisionInput, check_reason, pick, sign_decision
from .moves import Opened, Why, enter, lock, new_loop
from .since_signed import never_overridden
from .whose import locked_record
from .windows import PATHWAY, STANDS_FOR, withdraw

ORDERED = "clinician_order"
ON_ITS_WAY = "A change is already on its way to the patient: recall it first."


@dataclass(frozen=True, slots=True)
class OrderInput:
    """What a clinician orders, by the key of a candidate. `override` names the hard rules overridden, knowingly."""

    candidate_key: str
    reason_code: str
    free_text: str
    override: tuple[str, ...] = ()


def order_candidates(patient: Patient, *, now: datetime) -> tuple[Candidate, ...]:
    """What may be ordered for this patient now, each with what speaks against it."""
    evidence = assemble(patient, pathway=PATHWAY, now=now, tables=tables())
    seen = look(evidence, rules_under(evidence.policies))
    return tuple(c for c in _listed(seen) if names_a_dose(c.change))


def names_a_dose(change: Change) -> bool:
    """Whether there is something to prescribe: a step up from the highest rung is listed, and leads nowhere."""
    return change.new_daily_dose is not None or change.kind in (ChangeKind.STOP, ChangeKind.TIMING)


def _listed(seen: Seen) -> tuple[Candidate, ...]:
    return tuple(c for c in list_candidates(seen.situation, seen.rules.rulebook) if c.change != STAY)


def write_order(patient_id: UUID, order: OrderInput, *, by: Acting, now: datetime) -> Loop:
    """Write a change for a patient; it goes to the patient like an approved proposal."""
    chosen = DecisionInput(
        DecisionKind.MODIFY, order.reason_code, order.free_text, seen_version=0, candidate_key=order.candidate_key
    )
    check_reason(chosen)
    with transaction.atomic():
        found = patient_for(by, patient_id, Permission.WRITE_ORDER, now=now)
        patient = locked_record(found.pk)
        acted = by.under(role_for(by, patient, Permission.WRITE_ORDER, now=now))
        _make_room(patient, by=acted, now=now)
        looked_at = by.drawn_at("as_of", now)  # when it is signed, this is what was shown, at most two minutes ago
        evidence = assemble(patient, pathway=PATHWAY, now=looked_at, tables=tables())
        seen = look(evidence, rules_under(evidence.policies))
        candidate = _pick(_listed(seen), order)
        loop = _open(patient, evidence, seen, candidate, by=acted, now=now)
        sign_decision(loop, STAY, candidate.change, replace(chosen, seen_version=loop.version), by=acted, now=now)
        enqueue("loop.deliver", {"loop": str(loop.pk)})
        return loop


def _pick(candidates: tuple[Candidate, ...], order: OrderInput) -> Candidate:
    """The candidate ordered. Hard rules stop it unless each is overridden by name, and absolute ones always."""
    found = next((c for c in candidates if candidate_key(c.change) == order.candidate_key), None)
    if found is None or not found.barred or not names_a_dose(found.change):
        return pick(candidates, order.candidate_key)
    stops = {s.rule for s in found.spoken if s.severity is Severity.HARD_STOP} - only_for_machines()
    if stops & never_overridden() or not stops <= set(order.override):
        pick(candidates, order.candidate_key)
    if stops and not order.free_text.strip():
        raise BadInput("Say in words why the rule is overridden.", field="free_text")
    return found


def only_for_machines() -> frozenset[str]:
    """Rows that stop what a machine proposes and never a clinician's own order: a danger that stands (CLINICAL 1.3)."""
    rows = rules().rulebook.contraindications.rows
    return frozenset(row.row_id for row in rows if row.predicate is Predicate.IN_DANGER)


def _make_room(patient: Patient, *, by: Acting, now: datetime) -> None:
    for loop in Loop.objects.filter(
        patient__in=record_ids(patient), pathway=PATHWAY, state__in=[s.value for s in OPEN]
    ):
        if loop.state not in WAITING:
            raise NotNow(ON_ITS_WAY, state=loop.state, recommendation=str(loop.pk))
        withdraw(lock(loop.pk), "clinician_order", by=by, now=now)


def _open(patient: Patient, evidence: Evidence, seen: Seen, candidate: Candidate, *, by: Acting, now: datetime) -> Loop:
    outcome = Outcome(
        withheld=None,
        detail=(ORDERED,),
        change=candidate.change,
        before_limits=candidate.change,
        candidates=_listed(seen),
        spoken=candidate.spoken,
        prediction=None,
        barred=tuple(sorted({f"{bar.scope.value}:{bar.rule}" for bar in seen.standing})),
        tier="clinician_decides",
        tier_reasons=(ORDERED,),
        windows=seen.windows,
    )
    loop_id = by.drawn("recommendation")
    opened = Opened(Origin.ORDER, f"{Origin.ORDER.value}:{loop_id}", due_in=STANDS_FOR, stands_for=STANDS_FOR)
    loop = new_loop(patient, evidence, outcome, opened, now=now, loop_id=loop_id)
    payload = {"evidence_sha256": loop.evidence_digest, "change": freeze(candidate.change)}
    enter(loop, LoopState.PROPOSED, by=by, now=now, why=Why(payload=payload))
    enter(loop, LoopState.WITH_CLINICIAN, by=by, now=now, why=Why(reason=ORDERED))
    return loop
