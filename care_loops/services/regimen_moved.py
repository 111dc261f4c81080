"""A change that rests on a regimen which changed elsewhere since is taken back by name, and a clinician is told (N1).

Rules
 * Asked of the record itself whenever a change goes on: before it is delivered, told, accepted and begun, and whenever
   something new came in. A clinician's own order is no exception: it was signed over a regimen too.
 * What is stopped ends: withdrawn where nobody decided it, else recalled. The patient is told that it no longer stands,
   without the old dose, which may be gone.
 * What the pure rule lets go on (`regimen_news`) goes on; where a reduction meets another dose, a card says so once.
 * Where the patient has begun, somebody is called: they may take more than anybody meant. So is somebody where a stop
   by a taper is taken back that was still owed: it is signed anew from the dose of today (N3).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from audit.services import enqueue
from governance.services import acting_job

from ..domain.alerts import AlertKind, AlertSeverity, Ask, Finding
from ..domain.changes import Change, Severity
from ..domain.evidence import Evidence
from ..domain.loops import LoopState
from ..freeze import thaw
from ..models import AlertEvent, Loop
from ..pathways.hypertension.rules import rules_under, tables
from ..pathways.hypertension.tables_therapy import formulary
from ..recommend import look
from ..regimen_news import Moved, News, regimen_moved
from ..selectors.evidence import assemble
from ..selectors.record import record_ids, whole
from ..selectors.regimen import regimen_now, stopped_elsewhere
from .alerts import raise_findings
from .moves import Why, change_of, enter
from .outcomes import push_example

#: Where a change stands that a patient may come to follow, or follows without having begun.
GOING = tuple(
    state.value
    for state in (
        LoopState.WITH_PATIENT,
        LoopState.APPROVED,
        LoopState.MODIFIED,
        LoopState.DELIVERED,
        LoopState.ACCEPTED,
    )
)


def moved_since(loop: Loop, change: Change, *, now: datetime) -> Moved | None:
    """What changed elsewhere in the regimen since the evidence of this change was frozen."""
    if loop.state not in GOING:
        return None
    before = thaw(loop.evidence, Evidence).regimen
    taken = regimen_now(whole(loop.patient), now=now)
    accepted = loop.state == LoopState.ACCEPTED.value
    ended = change.ingredient in stopped_elsewhere(whole(loop.patient), now=now)
    moved = regimen_moved(
        change, before, taken, lowers_pressure=formulary().lowers_pressure, accepted=accepted, ended=ended
    )
    came = {drug.ingredient for drug in taken.drugs} - {drug.ingredient for drug in before.drugs} - {change.ingredient}
    if moved is None and change.intensifies and came and _interacts(loop, change, now=now):
        return Moved(News.INTERACTS, stops=True)
    return moved


def stopped_by_news(loop: Loop, change: Change, *, now: datetime) -> bool:
    """Whether the regimen moved so that this change stands no longer."""
    moved = moved_since(loop, change, now=now)
    return moved is not None and moved.stops


def _interacts(loop: Loop, change: Change, *, now: datetime) -> bool:
    """Whether a drug that came since must not be taken with this one: a hard stop that did not speak before."""
    evidence = assemble(whole(loop.patient), pathway=loop.pathway, now=now, tables=tables(), without=loop)
    seen = look(evidence, rules_under(evidence.policies))
    then = replace(seen.situation, regimen=thaw(loop.evidence, Evidence).regimen)
    hard = (r for r in seen.rules.rulebook.contraindications.interactions if r.severity is Severity.HARD_STOP)
    return any(row.holds(change, seen.situation) and not row.holds(change, then) for row in hard)


def take_back_moved(loop: Loop, *, now: datetime, begun: bool = False) -> bool:
    """Take back a change (locked by the caller) that stands no longer, in the caller's transaction. Whether it did.

    `begun`: a first dose of it has just been logged.
    """
    moved = moved_since(loop, change_of(loop), now=now)
    if moved is None:
        return False
    by = acting_job("regimen-moved", str(loop.pk))
    if moved.stops:
        ended = LoopState.WITHDRAWN if loop.state == LoopState.WITH_PATIENT.value else LoopState.RECALLED
        why = Why(reason=moved.news.value, decision=getattr(loop, "decision", None), boundary=loop.boundary)
        enter(loop, ended, by=by, now=now, why=why)
        push_example(loop, now=now)
        enqueue("patient.tell", {"loop": str(loop.pk), "kind": "recalled"})
    elif _said(loop):
        return False
    found = _finding(loop, moved, begun=begun)
    raise_findings(whole(loop.patient).pk, [found], measured_at=now, received_at=now, by=by, now=now)
    return moved.stops


def _said(loop: Loop) -> bool:
    """Whether a clinician was told already that this change meets another regimen."""
    return AlertEvent.objects.filter(
        alert__patient_id__in=record_ids(loop.patient),
        alert__kind=AlertKind.REGIMEN_CHANGED.value,
        evidence=str(loop.pk),
    ).exists()


def _finding(loop: Loop, moved: Moved, *, begun: bool) -> Finding:
    """A card for today; it wakes somebody where the patient has begun, or a stop is owed. It locks and bars nothing."""
    too_much = begun and moved.stops
    called = too_much or moved.calls
    return Finding(
        kind=AlertKind.REGIMEN_CHANGED,
        severity=AlertSeverity.URGENT if called else AlertSeverity.CARD,
        page=called,
        lock=False,
        bars=frozenset(),
        same_day_item=True,
        unverified=False,
        historic=False,
        asks=(Ask.CONTACT_CARE_TEAM,) if too_much else (),
        evidence=(str(loop.pk),),
        rules=(moved.news.value,),
        sources=(),
    )
