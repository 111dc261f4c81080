"""What time itself does to recommendations: they expire. What is expired says so and leads nowhere."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from audit.services import enqueue
from governance.services import Acting

from ..domain.loops import LoopState
from ..models import Loop
from ..transitions import MOVES
from .moves import Why, enter, lock
from .outcomes import push_example

CAN_EXPIRE = tuple(state.value for state, moves in MOVES.items() if LoopState.EXPIRED in moves)
# Decided but never delivered, because a danger stood in the way: it is taken back, or it would bar every later window.
HELD_BACK = (LoopState.APPROVED.value, LoopState.MODIFIED.value)
CAN_END = (*CAN_EXPIRE, *HELD_BACK)


def expire_loops(*, by: Acting, now: datetime) -> int:
    """Let every open recommendation past its end expire. Returns how many did."""
    due = Loop.objects.filter(state__in=CAN_END, expires_at__lte=now).values_list("pk", flat=True)
    expired = 0
    for loop_id in list(due):
        with transaction.atomic():
            loop = lock(loop_id)
            if loop.state not in CAN_END or loop.expires_at > now:
                continue
            was = loop.state
            why = Why(reason="too_old", decision=getattr(loop, "decision", None), boundary=loop.boundary)
            ended = LoopState.EXPIRED if was in CAN_EXPIRE else LoopState.RECALLED
            enter(loop, ended, by=by, now=now, why=why)
            push_example(loop, now=now)
            if was != LoopState.WITH_CLINICIAN.value:
                enqueue("patient.tell", {"loop": str(loop.pk), "kind": "recalled"})
            expired += 1
    return expired
