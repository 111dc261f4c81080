"""What staff pages say about the evidence: a banner while witnesses are behind (SECURITY 3.2, degrade rules).

Asked at most every five seconds in each process, and of the database only where witnesses are asked for at all.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest

from audit.selectors import WitnessStanding, witness_state
from audit.witness_policy import PolicyInvalid

from ..presenters.evidence import banner

log = logging.getLogger(__name__)
FRESH_S = 5.0
_last: tuple[float, WitnessStanding | None] | None = None


def evidence(request: HttpRequest) -> dict[str, Any]:
    """`evidence.banner` for somebody signed in; empty while there is nothing to say.

    `evidence.unwatched` is the sentence for a site with no witness, which the template shows outside the simulation.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"evidence": {"banner": "", "unwatched": ""}}
    standing = _standing()
    said = banner(standing)
    unwatched = standing is WitnessStanding.NONE
    return {"evidence": {"banner": "" if unwatched else said, "unwatched": said if unwatched else ""}}


def _standing() -> WitnessStanding | None:
    """How the witnesses stand; None when it cannot be told."""
    global _last  # noqa: PLW0603  (one small cache of this process)
    if _last is not None and time.monotonic() - _last[0] < FRESH_S:
        return _last[1]
    try:
        found: WitnessStanding | None = witness_state().state
    except (OSError, PolicyInvalid, DatabaseError) as reason:
        log.warning("the state of the witnesses cannot be told: %s", type(reason).__name__)
        found = None
    _last = (time.monotonic(), found)
    return found
