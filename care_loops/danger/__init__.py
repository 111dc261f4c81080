"""Danger rules: what must be said at once of a reading, a laboratory result or a symptom (CLINICAL 1.3, 1.8).

No model, no database, no clock: they run in the transaction that stores the event, when everything else is down.

The rules
 * They run per component and before plausibility drops anything. A known device sentinel says nothing here.
 * By time of measurement: up to 24 h as the row says; up to 14 days it pages nobody, makes a same-day clinician item
   ("measure now") and bars what the row bars; older is historic. An uncertain clock counts from receipt, a time to
   come as now.
 * One reading in the crisis range locks and is urgent; a repeat or a symptom makes it critical. It is unverified until
   repeated. A value that contradicts itself, or was disturbed by movement, does not lock: it bars, and asks to repeat
   now. What is held back confirms no other reading.
 * A cuffless value bars and asks for a cuff reading; it neither pages nor locks, unless the person also feels ill.
 * Findings of one kind about one event are one finding, the gravest.
"""

from __future__ import annotations

from .assess import assess, assess_average, assess_record, counted_as
from .bars import bars, scopes
from .evidence import Context, Event, contradicts_itself, is_cuffless, is_disturbed, when_taken
from .personal import LimitName, as_rows, crossed, loosened, narrowed, site_limit
from .pressure import pulse_beyond
from .reference import reference_rows
from .refused import Dangerous, dangers_in, dangers_in_lab, readings_in
from .table import (
    Component,
    DangerRule,
    DangerTable,
    DangerWindows,
    Effects,
    Population,
    Test,
    When,
    escalation,
)

__all__ = [
    "Component",
    "Context",
    "DangerRule",
    "DangerTable",
    "DangerWindows",
    "Dangerous",
    "Effects",
    "Event",
    "LimitName",
    "Population",
    "Test",
    "When",
    "as_rows",
    "assess",
    "assess_average",
    "assess_record",
    "bars",
    "contradicts_itself",
    "counted_as",
    "crossed",
    "dangers_in",
    "dangers_in_lab",
    "escalation",
    "is_cuffless",
    "is_disturbed",
    "loosened",
    "narrowed",
    "pulse_beyond",
    "readings_in",
    "reference_rows",
    "scopes",
    "site_limit",
    "when_taken",
]
