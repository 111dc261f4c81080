"""Danger rules that look at laboratory results, symptoms, the person and the mean (CLINICAL 1.3 C9, C13; 1.8 L5 to L8).

Rules
 * A rise or fall is measured from the last result before the change of a drug, never from a usual value. Without one
   there is no baseline and nothing is said.
 * A late baseline completes a pair just as a late result does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from ..domain.readings import Average
from ..domain.record import Lab, PastChange, SymptomReport
from .evidence import Context, Hit, applies, when_taken
from .pressure import orthostatic, with_symptom
from .table import Component, DangerRule, DangerTable, When


def lab_hits(lab: Lab, context: Context, table: DangerTable, received_at: datetime) -> Iterator[Hit]:
    """Everything the rules say of one laboratory result."""
    at = when_taken(lab, received_at)
    for rule in table.of(When.LAB):
        beyond = rule.boundary.component is lab.kind and rule.boundary.holds(lab.value)
        if beyond and applies(rule, context):
            yield Hit(rule, (lab.lab_id,), at)
    results = [lab, *(one for one in context.labs if one.lab_id != lab.lab_id)]
    for when in (When.LAB_RISE_PERCENT, When.LAB_FALL_PERCENT):
        for rule in table.of(when):
            for hit in _since_changes(rule, results, context, table, received_at):
                if lab.lab_id in hit.evidence:
                    yield hit


def _since_changes(
    rule: DangerRule, labs: list[Lab], context: Context, table: DangerTable, received_at: datetime
) -> Iterator[Hit]:
    of_kind = [one for one in labs if one.kind is rule.boundary.component]
    for change in context.changes:
        if change.drug_class not in rule.drug_classes:
            continue
        baseline = _baseline(of_kind, change, table)
        if baseline is None or baseline.value <= 0:
            continue
        for result in of_kind:
            if _after(result, change, table) and rule.boundary.holds(_percent(rule, baseline.value, result.value)):
                yield Hit(rule, (baseline.lab_id, result.lab_id), when_taken(result, received_at))


def _baseline(labs: list[Lab], change: PastChange, table: DangerTable) -> Lab | None:
    """The last result at or before the change, not older than the baseline window."""
    oldest = change.effective_at - timedelta(days=float(table.windows.lab_baseline_days))
    before = [one for one in labs if oldest <= one.taken_at <= change.effective_at]
    return max(before, key=lambda one: (one.taken_at, one.lab_id), default=None)


def _after(result: Lab, change: PastChange, table: DangerTable) -> bool:
    since = result.taken_at - change.effective_at
    return timedelta(0) < since <= timedelta(days=float(table.windows.lab_after_change_days))


def _percent(rule: DangerRule, before: Decimal, after: Decimal) -> Decimal:
    moved = after - before if rule.when is When.LAB_RISE_PERCENT else before - after
    return moved * 100 / before


def symptom_hits(symptom: SymptomReport, context: Context, table: DangerTable, received_at: datetime) -> Iterator[Hit]:
    """Everything the rules say of one symptom, alone and with the readings around it."""
    at = when_taken(symptom, received_at)
    for rule in table.of(When.SYMPTOM):
        if symptom.kind in rule.symptoms and applies(rule, context):
            yield Hit(rule, (symptom.symptom_id,), at)
    told = replace(context, symptoms=(symptom,))
    for reading in context.readings:
        yield from with_symptom(reading, symptom, context, table, received_at)
        pairs = orthostatic(reading, told, table, received_at)
        yield from (h for h in pairs if h.rule.when is When.ORTHOSTATIC_WITH_SYMPTOM)


def record_hits(context: Context, table: DangerTable, received_at: datetime) -> Iterator[Hit]:
    """What the rules say of the person as known (C13)."""
    for rule in table.of(When.RECORD):
        if applies(rule, context):
            drugs = context.regimen.drugs if context.regimen else ()
            taken = tuple(d.ingredient for d in drugs if d.drug_class in rule.drug_classes)
            yield Hit(rule, (context.facts.pregnancy.value, *taken), received_at)


def average_hits(
    average: Average, window: str, context: Context, table: DangerTable, received_at: datetime
) -> Iterator[Hit]:
    """What the rules say of the mean of a window (C9)."""
    for rule in table.of(When.AVERAGE):
        systolic = rule.boundary.component is Component.SYSTOLIC
        mean = average.systolic if systolic else average.diastolic
        if applies(rule, context) and rule.boundary.holds(mean.value):
            yield Hit(rule, (window,), received_at)
