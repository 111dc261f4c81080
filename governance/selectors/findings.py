"""How many findings are late."""

from __future__ import annotations

from datetime import datetime

from ..findings import FindingState
from ..models import FindingEvent


def overdue_findings(*, now: datetime) -> int:
    """Findings that are not closed and whose corrective action was due before `now`."""
    last = FindingEvent.objects.order_by("finding_id", "-seq").distinct("finding_id")
    return sum(state != FindingState.CLOSED.value and due < now for state, due in last.values_list("state", "due_at"))
