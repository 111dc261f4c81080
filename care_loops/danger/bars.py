"""What stands in the last 14 days that bars a change: the second net, computed from evidence, not from alerts.

Rules
 * Nothing patient-facing while a reading of the last 14 days lies in a danger range, whatever became of its alert
   (CLINICAL 1.3, test; 1.9 row 3). Cuffless, quarantined and disturbed values bar like others.
 * A symptom that a clinician has dealt with no longer bars by itself.
 * These are bars on machine advice. A clinician's own order is never asked about here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..domain.alerts import Bar, Scope
from ..domain.readings import Average
from .assess import hits_of
from .body import average_hits, record_hits
from .evidence import Context, Event, Hit, when_taken
from .table import DangerTable


def bars(context: Context, *, now: datetime, table: DangerTable, average: Average | None = None) -> tuple[Bar, ...]:
    """Everything that is barred at `now`, each with rule and evidence. `average` is the mean of the closing window.

    Hand in every reading taken or received in the last 14 days: one with an uncertain clock counts if it is handed in.
    """
    events: list[Event] = [*context.readings, *context.labs, *(s for s in context.symptoms if not s.reviewed)]
    oldest = now - timedelta(days=float(table.windows.bar_days))
    # Of a pair, the newer is in the window or the pair is not: older events need not be asked.
    recent = [event for event in events if when_taken(event, now) >= oldest]
    hits: list[Hit] = [hit for event in recent for hit in hits_of(event, context, table, now)]
    hits += record_hits(context, table, now)
    if average is not None:
        hits += average_hits(average, "window", context, table, now)
    standing = [hit for hit in hits if hit.at >= oldest]
    found = {
        Bar(scope=scope, kind=hit.rule.kind, rule=hit.rule.rule, evidence=hit.evidence)
        for hit in standing
        for scope in hit.rule.effects.bars
    }
    return tuple(sorted(found, key=lambda bar: (bar.scope, bar.rule, bar.evidence)))


def scopes(standing: Iterable[Bar]) -> frozenset[Scope]:
    """What is barred at all."""
    return frozenset(bar.scope for bar in standing)
