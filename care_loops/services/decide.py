"""A clinician decides a recommendation, writes an order, or recalls one: locked, checked, signed, recorded together.

Rules
 * One decision per loop. Two people at once: the lock lets one through, the other gets 409 with who, when and what.
 * What was seen is what is decided: another version than the one shown is refused.
 * A proposal that was drawn is decided by nobody who has not said first what they would do (CLINICAL 4.3).
 * Approving takes the change as proposed; modifying takes another candidate the rules left open, and keeps the original
   beside it; both sign the record as shown. Modify and reject need a coded reason.
 * What is suspended is neither approved nor modified, only rejected; an order of the clinician's own goes on.
 * A hard stop can be overridden only by an order that names its reason; never for what a row marks as absolute.
 * An order is a loop that a clinician began: same checks, same signature, same trail.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from audit.domain import ObjectRef
from audit.services import enqueue
from governance.domain import BadInput, NotFound, Permission
from governance.services import Act, Acting, sign
from governance.suspension import check_goes_on

from ..domain.changes import STAY, Candidate, Change
from ..domain.evidence import Evidence, Outcome, candidate_key
from ..domain.loops import DecisionKind, LoopState
from ..freeze import freeze, thaw
from ..models import Decision, Loop
from ..policies import LimitStops, check_not_expired, check_seen
from ..selectors.access import NOBODY, patient_for, role_for
from ..selectors.first import check_answered_first
from ..selectors.signed import content_of_decision
from ..selectors.suspended import stopping_loop
from .last_look import check_no_lock
from .moves import EVENT, Why, check_open_for, enter, lock
from .outcomes import push_example

REASONS = (
    "agrees_with_plan",
    "patient_preference",
    "side_effect",
    "adherence_first",
    "readings_not_representative",
    "other_condition",
    "waiting_for_lab",
    "different_drug_preferred",
    "smaller_step_preferred",
    "frailty_or_falls",
    "will_see_patient",
    "other",
)
STATE_OF: dict[DecisionKind, LoopState] = {
    DecisionKind.APPROVE: LoopState.APPROVED,
    DecisionKind.MODIFY: LoopState.MODIFIED,
    DecisionKind.REJECT: LoopState.REJECTED,
}
MEANING: dict[DecisionKind, str] = {
    DecisionKind.APPROVE: "prescribes the change as proposed",
    DecisionKind.MODIFY: "prescribes another change than proposed",
    DecisionKind.REJECT: "prescribes no change",
}


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """What a clinician chose. `candidate_key` names the other candidate when modifying.

    `seen_version` is the version of the recommendation that was shown.
    """

    kind: DecisionKind
    reason_code: str
    free_text: str
    seen_version: int
    candidate_key: str | None = None


def decide(loop_id: UUID, chosen: DecisionInput, *, by: Acting, now: datetime) -> Decision:
    """Decide a recommendation that stands with the clinician."""
    with transaction.atomic():
        loop = _locked(loop_id, by, Permission.DECIDE, now=now)
        acted = by.under(role_for(by, loop.patient, Permission.DECIDE, now=now))
        state = STATE_OF[chosen.kind]
        check_open_for(loop, state)
        check_not_expired(loop.expires_at, now)
        check_seen(chosen.seen_version, loop.version)
        check_answered_first(loop, by)
        check_reason(chosen)
        outcome = thaw(loop.outcome, Outcome)
        final = _final(outcome, chosen)
        if state is not LoopState.REJECTED:
            check_goes_on(stopping_loop(loop))
        check_no_lock(loop, final, now=now)
        decision = sign_decision(loop, outcome.change, final, chosen, by=acted, now=now)
        if state is not LoopState.REJECTED:
            enqueue("loop.deliver", {"loop": str(loop.pk)})
        else:
            push_example(loop, now=now)
        return decision


def check_reason(chosen: DecisionInput) -> None:
    """Modify and reject carry a coded reason; approving may."""
    if chosen.reason_code and chosen.reason_code not in REASONS:
        raise BadInput("Choose a reason from the list.", field="reason_code", known=list(REASONS))
    if chosen.kind is not DecisionKind.APPROVE and not chosen.reason_code:
        raise BadInput("Say why, with a reason from the list.", field="reason_code", known=list(REASONS))
    if chosen.reason_code == "other" and not chosen.free_text.strip():
        raise BadInput("Say in words what the other reason is.", field="free_text")


def _final(outcome: Outcome, chosen: DecisionInput) -> Change:
    """The change the decision stands for."""
    if chosen.kind is DecisionKind.APPROVE:
        return outcome.change
    if chosen.kind is DecisionKind.REJECT:
        return STAY
    candidate = pick(outcome.candidates, chosen.candidate_key)
    if candidate.change == outcome.change:
        raise BadInput("That is the change as proposed: approve it instead.", field="candidate_key")
    return candidate.change


def pick(candidates: tuple[Candidate, ...], key: str | None) -> Candidate:
    """The candidate of that key, unless a hard rule stops it."""
    for candidate in candidates:
        if candidate_key(candidate.change) == key and candidate.change != STAY:
            if candidate.barred:
                raise LimitStops(
                    "A rule stops this change.",
                    rules=[{"rule": s.rule, "words": s.words} for s in candidate.spoken],
                )
            return candidate
    raise BadInput(
        "Choose one of the changes that were considered.",
        field="candidate_key",
        known=[candidate_key(c.change) for c in candidates if not c.barred and c.change != STAY],
    )


def sign_decision(
    loop: Loop, original: Change, final: Change, chosen: DecisionInput, *, by: Acting, now: datetime
) -> Decision:
    """Sign, record and enter a decision, in the caller's transaction."""
    decision = Decision(
        loop=loop,
        kind=chosen.kind.value,
        decided_by=by.person(),
        decided_at=now,
        seen_version=loop.version,
        original_change=freeze(original),
        final_change=freeze(final),
        reason_code=chosen.reason_code,
        free_text=chosen.free_text,
        seconds_to_decide=max(0, int((now - loop.opened_at).total_seconds())),
        policies=freeze(policies_of(loop)),
    )
    state, shown = STATE_OF[chosen.kind], content_of_decision(decision)
    decision.signature, esign = sign(shown, act=act_on(loop, state), meaning=MEANING[chosen.kind], by=by, now=now)
    why = Why(reason=chosen.reason_code, decision=decision, payload=shown, esign=esign)
    enter(loop, state, by=by, now=now, why=why)
    return decision


def act_on(loop: Loop, state: LoopState) -> Act:
    """The next step of this loop, as the act that is signed."""
    thing = ObjectRef(type="recommendation", id=str(loop.pk), version=loop.version + 1)
    return Act(EVENT[state], thing, subject=str(loop.patient_id))


def policies_of(loop: Loop) -> tuple[str, ...]:
    """The policies and the boundary under which this recommendation stands, by reference."""
    evidence = thaw(loop.evidence, Evidence)
    named = [evidence.mode.policy if evidence.mode else None, evidence.tier_policy]
    if evidence.boundary is not None:
        named.append(f"boundary:{evidence.boundary.boundary_id}@{evidence.boundary.version}")
    named += [policy.ref for policy in evidence.policies if policy.ref not in named]
    return tuple(name for name in named if name)


def recall(loop_id: UUID, *, reason_code: str, free_text: str, by: Acting, now: datetime) -> Loop:
    """Take back a change that was approved, delivered or accepted but not begun: signed, and told to the patient."""
    if reason_code not in REASONS:
        raise BadInput("Choose a reason from the list.", field="reason_code", known=list(REASONS))
    with transaction.atomic():
        loop = _locked(loop_id, by, Permission.RECALL, now=now)
        acted = by.under(role_for(by, loop.patient, Permission.RECALL, now=now))
        check_open_for(loop, LoopState.RECALLED)
        decision = getattr(loop, "decision", None)
        shown = {
            "recommendation": str(loop.pk),
            "version": loop.version,
            "patient": str(loop.patient_id),
            "evidence_sha256": loop.evidence_digest,
            "prescribed": decision.final_change if decision else freeze(thaw(loop.outcome, Outcome).change),
            "reason": reason_code,
            "free_text": free_text,
        }
        act = act_on(loop, LoopState.RECALLED)
        signature, esign = sign(shown, act=act, meaning="takes this change back", by=acted, now=now)
        why = Why(
            reason=reason_code,
            decision=decision,
            boundary=loop.boundary,
            payload=shown,
            esign=esign,
            signature=signature,
        )
        enter(loop, LoopState.RECALLED, by=acted, now=now, why=why)
        enqueue("patient.tell", {"loop": str(loop.pk), "kind": "recalled"})
        push_example(loop, now=now)
        return loop


def _locked(loop_id: UUID, by: Acting, permission: Permission, *, now: datetime) -> Loop:
    found = Loop.objects.filter(pk=loop_id).values_list("patient_id", flat=True).first()
    if found is None:
        raise NotFound(NOBODY)
    patient_for(by, found, permission, now=now)
    return lock(loop_id)
