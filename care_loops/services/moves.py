"""The only writer of a recommendation's state: the step, the head and the event are written together (N5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from audit.domain import Cap, Esign, ModelRef, Purpose
from governance.models import Signature
from governance.services import Acting

from ..domain.changes import Change
from ..domain.evidence import Evidence, Outcome
from ..domain.loops import LoopState, Origin
from ..freeze import digest, freeze, pack, thaw
from ..models import Boundary, DecideFirst, Decision, Loop, Patient, Step
from ..policies import AlreadyDecided, NotNow, check_can_enter
from ..selectors.first import drawing, drawn_said
from ..transitions import check_move
from .events import note


@dataclass(frozen=True, slots=True)
class Why:
    """What goes with a move: its reason, what it rests on, what the entry says besides."""

    reason: str = ""
    decision: Decision | None = None
    boundary: Boundary | None = None
    payload: dict[str, Any] | None = None
    esign: Esign | None = None
    signature: Signature | None = None
    model: ModelRef | None = None
    limits: tuple[Cap, ...] = ()
    purpose: Purpose = Purpose.TREATMENT


NOTHING_MORE = Why()
# A decided change waits a week for the patient's answer, an accepted one two weeks for its first dose, however late in
# the week of its window it was decided.
STANDS_FROM_HERE: dict[LoopState, timedelta] = {
    LoopState.DELIVERED: timedelta(days=7),
    LoopState.ACCEPTED: timedelta(days=14),
}

EVENT: dict[LoopState, str] = {
    LoopState.PROPOSED: "recommendation.proposed",
    LoopState.WITHHELD: "recommendation.withheld",
    LoopState.WITH_PATIENT: "recommendation.routed",
    LoopState.WITH_CLINICIAN: "recommendation.routed",
    LoopState.APPROVED: "recommendation.approved",
    LoopState.MODIFIED: "recommendation.modified",
    LoopState.REJECTED: "recommendation.rejected",
    LoopState.DELIVERED: "recommendation.delivered",
    LoopState.ACCEPTED: "recommendation.accepted",
    LoopState.DECLINED: "recommendation.declined",
    LoopState.RECALLED: "recommendation.recalled",
    LoopState.EXPIRED: "recommendation.expired",
    LoopState.WITHDRAWN: "recommendation.withdrawn",
    LoopState.DONE: "recommendation.done",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """How a loop begins: who began it, the key of its window, when it is due and how long it stands."""

    origin: Origin
    key: str
    due_in: timedelta
    stands_for: timedelta


def new_loop(
    patient: Patient,
    evidence: Evidence,
    outcome: Outcome,
    opened: Opened,
    *,
    now: datetime,
    loop_id: UUID | None = None,
) -> Loop:
    """A loop with its evidence frozen. It has no row yet: `enter` gives it its first state and saves it."""
    frozen, model = freeze(evidence), evidence.model if opened.origin is Origin.PROPOSAL else None
    return Loop(
        id=loop_id or uuid4(),
        patient=patient,
        pathway=evidence.pathway,
        origin=opened.origin.value,
        window_key=opened.key,
        opened_at=now,
        due_at=now + opened.due_in,
        expires_at=now + opened.stands_for,
        evidence=frozen,
        evidence_digest=digest(frozen),
        outcome=freeze(outcome),
        tier=outcome.tier,
        withheld_reason="",
        change_kind=outcome.change.kind.value,
        model_name=model.name if model else "",
        model_version=model.version if model else "",
        model_digest=model.digest if model else "",
        cohort=evidence.cohorts[0] if evidence.cohorts else "",
        state="",
        version=0,
    )


def lock(loop_id: UUID | str) -> Loop:
    """The loop, locked until the transaction ends. Whoever comes second waits, and then sees what the first did."""
    return Loop.objects.select_for_update(of=("self",)).select_related("patient", "boundary").get(pk=loop_id)


def change_of(loop: Loop) -> Change:
    """The change that stands: what the clinician prescribed, else what was proposed within the boundary."""
    decision: Decision | None = getattr(loop, "decision", None)
    return thaw(decision.final_change, Change) if decision else thaw(loop.outcome, Outcome).change


def enter(loop: Loop, state: LoopState, *, by: Acting, now: datetime, why: Why = NOTHING_MORE) -> Step:
    """Move `loop` (locked by the caller, or just created) into `state`, with its event, in the caller's transaction.

    A new loop, the decision and the step ride with the entry they name: one statement writes all of them.
    """
    before = LoopState(loop.state) if loop.version else None
    check_move(before, state)
    seq = loop.version + 1
    kind = EVENT[state] if loop.origin == "proposal" or state is not LoopState.PROPOSED else "order.written"
    if state is LoopState.WITH_CLINICIAN and before is LoopState.WITH_PATIENT:
        kind = "recommendation.escalated_to_clinician"
    decision = why.decision if state in _DECIDED else None
    if before is None:
        loop.state, loop.version = state.value, seq
    step = Step(
        loop=loop,
        seq=seq,
        before=before.value if before else "",
        state=state.value,
        entered_at=now,
        actor_kind=by.kind,
        actor_id=by.id,
        reason_code=why.reason,
        decided_by=decision.decided_by if decision else None,
        decision=why.decision,
        boundary=why.boundary,
        signature=why.signature,
    )
    drawn = drawing(loop) if state is LoopState.WITH_CLINICIAN else None
    entry = note(
        kind,
        of=("recommendation", loop.pk, seq),
        by=by,
        now=now,
        patient_id=loop.patient_id,
        reason=why.reason or None,
        payload=_payload(loop, state, why, first=before is None) | drawn_said(drawn),
        esign=why.esign,
        model=why.model,
        limits=why.limits,
        purpose=why.purpose,
        rows=[row for row in (loop if before is None else None, decision, step) if row is not None],
    )
    if drawn is not None:
        DecideFirst.objects.create(loop=loop, rule=drawn, entry=entry.entry_id)
    _move_head(loop, state, seq, why.reason, now)
    return step


def _payload(loop: Loop, state: LoopState, why: Why, *, first: bool) -> dict[str, Any]:
    """What the entry says. The first one holds the frozen evidence and outcome: an export can be replayed from it."""
    said = why.payload if why.payload is not None else {"state": state.value}
    return {**said, "evidence": pack(loop.evidence), "outcome": pack(loop.outcome)} if first else said


def _move_head(loop: Loop, state: LoopState, seq: int, reason: str, now: datetime) -> None:
    """The head of the loop follows its last step. What reaches the patient gets time of its own from that moment."""
    loop.state, loop.version = state.value, seq
    loop.withheld_reason = reason if state is LoopState.WITHHELD else ""
    if state in STANDS_FROM_HERE:
        loop.expires_at = max(loop.expires_at, now + STANDS_FROM_HERE[state])
    loop.save(update_fields=["state", "version", "withheld_reason", "expires_at"])


_DECIDED = (LoopState.APPROVED, LoopState.MODIFIED, LoopState.REJECTED)


def check_open_for(loop: Loop, state: LoopState) -> None:
    """Refuse a move from where the loop stands; when somebody decided it, say who, when and what."""
    if loop.state == LoopState.WITH_CLINICIAN.value or state not in _DECIDED:
        check_can_enter(LoopState(loop.state), state)
        return
    decision = Decision.objects.select_related("decided_by").filter(loop=loop).first()
    if decision is None:
        raise NotNow(f"This recommendation is {loop.state.replace('_', ' ')}.", state=loop.state)
    raise AlreadyDecided(
        f"{decision.decided_by.printed_name} has already decided this recommendation.",
        state=loop.state,
        winner=decision.decided_by.printed_name,
        decided_at=decision.decided_at.isoformat(),
        kind=decision.kind,
    )
