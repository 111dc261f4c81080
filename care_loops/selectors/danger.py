"""What the danger rules are told of a patient at one moment."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..danger import Context, DangerTable
from ..models import Patient
from . import record, regimen


def danger_context(patient: Patient, *, now: datetime, table: DangerTable) -> Context:
    """Readings and symptoms of the danger window, all labs and changes, the regimen as far as known."""
    since = now - timedelta(days=float(table.windows.bar_days))
    lines = regimen.lines(patient, now=now)
    return Context(
        facts=record.facts(patient, now=now),
        regimen=regimen.regimen_of(lines) if lines else None,
        readings=record.readings(patient, since=since, now=now),
        symptoms=record.symptoms(patient, since=since, now=now),
        labs=record.labs(patient, now=now),
        changes=regimen.past_changes(lines),
    )
