"""What time itself does to recommendations: they expire. What is expired says so and leads nowhere.

Rules
 * A reduction or a stop that a clinician signed is not ended by time (N3): where it has not been delivered, answered or
   begun in time, somebody is called, who phones; it stays in force as it was signed, and goes out when it can.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from audit.services import enqueue
from governance.services import Acting

from ..domain.alerts import AlertKind, AlertSeverity, Ask, Finding
from ..domain.loops import LoopState
from ..models import AlertEvent, Loop
from ..selectors.record import whole
from ..selectors.suspended import less_was_signed
from ..transitions import MOVES
from .alerts import raise_findings
from .moves import Why, enter, lock
from .outcomes import push_example

CAN_EXPIRE = tuple(state.value for state, moves in MOVES.items() if LoopState.EXPIRED in moves)
# Decided but never delivered, because a danger stood in the way: it is taken back, or it would bar every later window.
HELD_BACK = (LoopState.APPROVED.value, LoopState.MODIFIED.value)
CAN_END = (*CAN_EXPIRE, *HELD_BACK)


# Where the change was put before nobody, or stands without an answer or a first dose.
_NOT_REACHED = Finding(
    kind=AlertKind.NOT_REACHED,
    severity=AlertSeverity.URGENT,
    page=True,
    lock=False,
    bars=frozenset(),
    same_day_item=True,
    unverified=False,
    historic=False,
    asks=(Ask.CONTACT_CARE_TEAM,),
    evidence=(),
    rules=(),
    sources=(),
)


def expire_loops(*, by: Acting, now: datetime) -> int:
    """Let every open recommendation past its end expire. Returns how many did."""
    due = Loop.objects.filter(state__in=CAN_END, expires_at__lte=now).values_list("pk", flat=True)
    expired = 0
    for loop_id in list(due):
        with transaction.atomic():
            loop = lock(loop_id)
            if loop.state not in CAN_END or loop.expires_at > now:
                continue
            if less_was_signed(loop):
                _call_somebody(loop, by=by, now=now)
                continue
            end_too_old(loop, by=by, now=now)
            expired += 1
    return expired


def end_too_old(loop: Loop, *, by: Acting, now: datetime) -> None:
    """End a recommendation past its time (locked by the caller), in the caller's transaction."""
    was = loop.state
    why = Why(reason="too_old", decision=getattr(loop, "decision", None), boundary=loop.boundary)
    ended = LoopState.EXPIRED if was in CAN_EXPIRE else LoopState.RECALLED
    enter(loop, ended, by=by, now=now, why=why)
    push_example(loop, now=now)
    if was != LoopState.WITH_CLINICIAN.value:
        enqueue("patient.tell", {"loop": str(loop.pk), "kind": "recalled"})


def _call_somebody(loop: Loop, *, by: Acting, now: datetime) -> None:
    """Call a person to a signed reduction or stop that has not come about in time, once where it stands."""
    since = loop.steps.latest("seq").entered_at
    said = AlertEvent.objects.filter(alert__kind=AlertKind.NOT_REACHED.value, evidence=str(loop.pk), at__gte=since)
    if said.exists():
        return
    found = replace(_NOT_REACHED, evidence=(str(loop.pk),), rules=(f"{loop.state}_too_long",))
    raise_findings(whole(loop.patient).pk, [found], measured_at=now, received_at=now, by=by, now=now)
    if loop.state in HELD_BACK:
        enqueue("loop.deliver", {"loop": str(loop.pk)})
