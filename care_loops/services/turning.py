"""One turn of the clock over recommendations and alerts: what time itself makes due, what harms most first.

Rules
 * Alerts come first: what waits for a person does not wait for a computation (N4).
 * What is too old ends before new windows open, and what stands open is looked at with the evidence of now: a boundary
   or a laboratory result can age without anything new arriving.
 * Each patient stands in a transaction of its own: a turn that is interrupted goes on where it was at the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from governance.services import Acting

from ..selectors.due import with_something_waiting
from .alerts import escalate_alerts
from .clock import expire_loops
from .reminders import remind
from .windows import close_due_windows, reevaluate_open


@dataclass(frozen=True, slots=True)
class Turned:
    """What one turn of the clock did: windows closed and what came of them, recommendations ended, alerts passed on,
    patients reminded."""

    escalated: int
    expired: int
    withdrawn: int
    closed: int
    proposed: int
    withheld: int
    reminded: int


def turn(*, by: Acting, now: datetime) -> Turned:
    """Escalate, expire, look again at what is open, close the windows that are due, remind patients."""
    escalated = escalate_alerts(by=by, now=now)
    expired = expire_loops(by=by, now=now)
    withdrawn = reevaluate_all(by=by, now=now)
    closed = close_due_windows(by=by, now=now)
    return Turned(
        escalated=escalated,
        expired=expired,
        withdrawn=withdrawn,
        closed=closed.closed,
        proposed=closed.proposed,
        withheld=closed.withheld,
        reminded=remind(by=by, now=now),
    )


def reevaluate_all(*, by: Acting, now: datetime) -> int:
    """Look again at every recommendation that waits. Returns how many were withdrawn."""
    return sum(reevaluate_open(patient_id, by=by, now=now) for patient_id in with_something_waiting())
