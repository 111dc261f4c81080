"""How a pathway is run at this site: off, simulation, research or live, and whether small changes may go direct.

Rules
 * Every part is said; none has a usual value. What was set stays on record with its author, reason and date.
 * One puts it forward, a prescriber and a pharmacist approve it; then it holds. To stop or switch off needs nobody.
 * Nothing goes straight to a patient, in any mode, unless it was said here (CLINICAL 0.1), within a signed boundary.
"""

from __future__ import annotations

from datetime import datetime

from governance.domain import BadInput
from governance.services import Acting, propose_policy
from governance.services.policies import Proposed
from governance.tiers import OperatingMode

from .windows import PATHWAY


def set_operating_mode(
    mode: OperatingMode,
    *,
    patient_directed: bool,
    stopped: bool,
    daily_patient_quota: int,
    reason: str,
    by: Acting,
    now: datetime,
    pathway: str = PATHWAY,
) -> Proposed:
    """Put a mode forward; it holds from its last approval on, or at once where it stops the pathway (`stopped`) or
    switches it off. The quota counts changes a day that may go straight to patients, over all of them."""
    if not reason.strip():
        raise BadInput("A mode is set with a reason.", field="reason")
    body = {
        "mode": mode.value,
        "patient_directed": patient_directed,
        "stopped": stopped,
        "daily_patient_quota": daily_patient_quota,
    }
    return propose_policy("operating_mode", pathway, body=body, reason=reason.strip(), by=by, now=now)
