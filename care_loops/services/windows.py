"""A window closes: evidence is frozen, a recommendation or a named reason for none is kept, and routed (DESIGN 3, 3-7).

Rules
 * One window gives one loop: the same window a second time gives nothing new (CLI-02).
 * An open recommendation is not doubled. It is looked at again instead, and withdrawn by name only when a danger rule,
   its candidate, a guardrail or its tier changed, or a new window closed; else what is new stands beside it.
 * A predictor that fails leaves a withheld loop that says so; danger rules have run long before (N4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from audit.domain import ModelRef as AuditedModel
from audit.services import enqueue
from governance.services import Acting
from governance.tiers import Tier
from models.serving import ModelDown

from ..domain.changes import STAY, Change
from ..domain.evidence import Evidence, Outcome
from ..domain.loops import LoopState, Origin
from ..freeze import freeze, thaw
from ..models import Boundary, Loop, Patient
from ..pathways.hypertension import predictors
from ..pathways.hypertension.rules import rules_under, tables
from ..recommend import recommend
from ..selectors.due import WAITING, window_due
from ..selectors.evidence import assemble
from ..selectors.record import record_ids, whole
from ..transitions import OPEN
from .danger import danger_of_average
from .moves import Opened, Why, enter, lock, new_loop
from .outcomes import push_example
from .regimen_moved import GOING, take_back_moved
from .since_signed import ON_ITS_WAY, bring_up, spoken_since
from .visits import plan_by_rule
from .whose import locked_record

PATHWAY = "hypertension"
STANDS_FOR = timedelta(days=7)  # a proposal is as old as its window; after another week it rests on nothing
DUE_IN = {"clinician_approves": timedelta(days=3), "clinician_decides": timedelta(days=2)}


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing the due windows came to."""

    closed: int
    proposed: int
    withheld: int


def close_window(patient_id: UUID, *, pathway: str = PATHWAY, by: Acting, now: datetime) -> Loop | None:
    """Close the patient's window at `now`. None when this window was closed before or a recommendation is open."""
    with transaction.atomic():
        patient = locked_record(patient_id)
        key = f"{Origin.PROPOSAL.value}:{local_day(patient, now).isoformat()}"
        if Loop.objects.filter(patient=patient, pathway=pathway, window_key=key).exists():
            return None
        if not _make_room(patient, pathway, by=by, now=now):
            return None
        evidence, outcome = work_out(assemble(patient, pathway=pathway, now=now, tables=tables()), now=now)
        if outcome.tier == Tier.PATIENT_MAY_ACT.value:
            _alone_with_the_quota(pathway)
            evidence, outcome = work_out(assemble(patient, pathway=pathway, now=now, tables=tables()), now=now)
        if outcome.windows[0].average is not None:
            danger_of_average(patient, outcome.windows[0].average, window=key, by=by, now=now)
        plan_by_rule(patient, evidence, outcome.windows, today=local_day(patient, now), by=by, now=now)
        return _open(patient, key, evidence, outcome, by=by, now=now)


def _alone_with_the_quota(pathway: str) -> None:
    """Until commit nobody else sends a change of this pathway straight to a patient: two cannot take the last place."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"quota:{pathway}"])


def local_day(patient: Patient, now: datetime) -> date:
    """The patient's own day."""
    return now.astimezone(ZoneInfo(patient.zone)).date()


def work_out(evidence: Evidence, *, now: datetime) -> tuple[Evidence, Outcome]:
    """Recommend from evidence; a predictor that fails becomes part of the evidence, so that a replay says the same."""
    if evidence.model is None:
        return evidence, recommend(evidence, rules_under(evidence.policies), predictors.nobody)
    try:
        return evidence, recommend(evidence, rules_under(evidence.policies), predictors.served(evidence.model, now=now))
    except ModelDown as fault:
        failed = replace(evidence, model_fault=str(fault))
        return failed, recommend(failed, rules_under(failed.policies), predictors.nobody)


def _make_room(patient: Patient, pathway: str, *, by: Acting, now: datetime) -> bool:
    """Whether a new loop may open. What still waits for the clinician or the patient gives way to a new window."""
    for loop in Loop.objects.filter(
        patient__in=record_ids(patient), pathway=pathway, state__in=[s.value for s in OPEN]
    ):
        if loop.origin == Origin.ORDER.value or loop.state not in WAITING:
            return False
        withdraw(lock(loop.pk), "new_window", by=by, now=now)
    return True


def withdraw(loop: Loop, reason: str, *, by: Acting, now: datetime) -> None:
    """Withdraw a waiting recommendation by name, in the caller's transaction; a patient who saw it is told."""
    seen_by_patient = loop.state == LoopState.WITH_PATIENT.value
    enter(loop, LoopState.WITHDRAWN, by=by, now=now, why=Why(reason=reason, boundary=loop.boundary))
    push_example(loop, now=now)
    if seen_by_patient:
        enqueue("patient.tell", {"loop": str(loop.pk), "kind": "recalled"})


def _open(patient: Patient, key: str, evidence: Evidence, outcome: Outcome, *, by: Acting, now: datetime) -> Loop:
    """The loop of a closed window, proposed and then routed."""
    opened = Opened(Origin.PROPOSAL, key, due_in=DUE_IN.get(outcome.tier, STANDS_FOR), stands_for=STANDS_FOR)
    loop = new_loop(patient, evidence, outcome, opened, now=now)
    if outcome.tier == Tier.PATIENT_MAY_ACT.value:
        loop.boundary = _boundary_of(evidence)
    model = evidence.model
    audited = AuditedModel(
        id=model.name if model else "none",
        version=model.version if model else "none",
        artifact_sha256=model.digest if model else None,
    )
    payload = {
        "evidence_sha256": loop.evidence_digest,
        "change": freeze(outcome.change),
        "tier": outcome.tier,
        "withheld": outcome.withheld.value if outcome.withheld else None,
    }
    enter(loop, LoopState.PROPOSED, by=by, now=now, why=Why(payload=payload, model=audited))
    route(loop, outcome, by=by, now=now)
    return loop


def _boundary_of(evidence: Evidence) -> Boundary | None:
    return Boundary.objects.get(pk=evidence.boundary.boundary_id) if evidence.boundary else None


def route(loop: Loop, outcome: Outcome, *, by: Acting, now: datetime) -> None:
    """To the patient, the clinician or nobody, by the tier."""
    if outcome.withheld is not None:
        enter(loop, LoopState.WITHHELD, by=by, now=now, why=Why(reason=outcome.withheld.value))
        push_example(loop, now=now)
    elif loop.boundary is not None:
        payload = {"tier": outcome.tier, "boundary": f"{loop.boundary.pk}@{loop.boundary.version}"}
        enter(loop, LoopState.WITH_PATIENT, by=by, now=now, why=Why(boundary=loop.boundary, payload=payload))
        enqueue("patient.tell", {"loop": str(loop.pk), "kind": "change"})
    else:
        reasons = {"tier": outcome.tier, "reasons": list(outcome.tier_reasons)}
        enter(loop, LoopState.WITH_CLINICIAN, by=by, now=now, why=Why(payload=reasons))


def reevaluate_open(patient_id: UUID, *, by: Acting, now: datetime) -> int:
    """Look again at what waits for this patient or is on its way. Returns how many were withdrawn or taken back."""
    withdrawn = 0
    with transaction.atomic():
        patient = locked_record(patient_id)
        withdrawn += _take_back_moved(patient, now=now)
        waiting = Loop.objects.filter(patient__in=record_ids(patient), state__in=WAITING, origin=Origin.PROPOSAL.value)
        for found in waiting:
            loop = lock(found.pk)
            reason = _what_changed(patient, loop, now=now)
            if reason is not None:
                withdraw(loop, reason, by=by, now=now)
                withdrawn += 1
        _bring_up_held(patient, by=by, now=now)
    return withdrawn


def _take_back_moved(patient: Patient, *, now: datetime) -> int:
    """Take back what is on its way and rests on a regimen that changed elsewhere. Returns how many."""
    going = Loop.objects.filter(patient__in=record_ids(patient), state__in=GOING)
    return sum(take_back_moved(lock(found.pk), now=now) for found in going)


def _bring_up_held(patient: Patient, *, by: Acting, now: datetime) -> None:
    """What is decided and on its way, and is held by what came in since, goes to the clinician by name."""
    for loop in Loop.objects.filter(patient__in=record_ids(patient), state__in=ON_ITS_WAY):
        decided = thaw(loop.decision.final_change, Change)
        bring_up(loop, spoken_since(loop, decided, now=now), by=by, now=now)


def no_longer_stands(loop: Loop, *, now: datetime) -> str | None:
    """Why a waiting recommendation, locked by the caller, would be withdrawn if it were looked at now."""
    return _what_changed(whole(loop.patient), loop, now=now)


def _what_changed(patient: Patient, loop: Loop, *, now: datetime) -> str | None:
    """Why a waiting recommendation no longer stands; None when it does, whatever is new beside it."""
    before = thaw(loop.outcome, Outcome)
    evidence, after = work_out(_same_window(patient, loop, now=now), now=now)
    if evidence.model_fault is not None:  # a predictor that is down says nothing of what it said before
        return "danger_rule" if before.change.intensifies and set(after.barred) - set(before.barred) else None
    if after.withheld is not None and after.withheld.value.startswith("danger"):
        return "danger_rule" if before.change.intensifies else None
    if set(after.barred) - set(before.barred) and before.change.intensifies:
        return "danger_rule"
    if after.withheld is not None and after.change == STAY:
        return f"now_{after.withheld.value}"
    if after.before_limits != before.before_limits:
        return "candidate_changed"
    if after.change != before.change:
        return "guardrail_changed"
    return "tier_changed" if after.tier != before.tier else None


def _same_window(patient: Patient, loop: Loop, *, now: datetime) -> Evidence:
    """What is known now, with the window as it closed: what came later does not reopen the average."""
    frozen = thaw(loop.evidence, Evidence)
    fresh = assemble(patient, pathway=loop.pathway, now=now, tables=tables(), without=loop)
    return replace(fresh, window_closed_at=frozen.window_closed_at)


def due_windows(*, now: datetime, pathway: str = PATHWAY) -> list[UUID]:
    """Patients whose window is due: the last was closed a week ago or more, or there never was one."""
    return window_due(pathway=pathway, every=STANDS_FOR, now=now)


def close_due_windows(*, by: Acting, now: datetime, pathway: str = PATHWAY) -> Closed:
    """Close every patient's window whose last loop is a week old or that never had one. Each in its own transaction."""
    opened = [close_window(pk, pathway=pathway, by=by, now=now) for pk in due_windows(pathway=pathway, now=now)]
    loops = [loop for loop in opened if loop is not None]
    withheld = sum(loop.state == LoopState.WITHHELD.value for loop in loops)
    return Closed(closed=len(loops), proposed=len(loops) - withheld, withheld=withheld)
