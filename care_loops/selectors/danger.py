"""What the danger rules are told of a patient at one moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from ..danger import Context, DangerTable, LimitName, as_rows, narrowed
from ..domain.record import AlertLimits
from ..models import AlertLimits as LimitsRow
from ..models import Patient
from ..pathways.hypertension.tables_danger import danger_table
from . import record, regimen


def alert_limits_rows(patient: Patient, *, now: datetime) -> list[LimitsRow]:
    """The limits signed last for this person, of a merged record those of each: the earliest alarm of all holds."""
    return limits_at(alert_limits_history(patient), now)


def alert_limits_history(patient: Patient) -> list[LimitsRow]:
    """Every version ever signed for this person, the newest first."""
    rows = LimitsRow.objects.filter(patient_id__in=record.record_ids(patient))
    return list(rows.select_related("signed_by").order_by("patient_id", "-version"))


def limits_at(history: Iterable[LimitsRow], at: datetime) -> list[LimitsRow]:
    """Of a history, the version of each record that was in force at one moment."""
    found: dict[UUID, LimitsRow] = {}
    for row in history:
        if row.signed_at <= at:
            found.setdefault(row.patient_id, row)
    return list(found.values())


def limits_of(row: LimitsRow) -> AlertLimits:
    """Signed limits as the rules see them."""
    return AlertLimits(
        limits_id=str(row.pk),
        version=row.version,
        limits=as_rows(limit_values(row)),
        signed_by=str(row.signed_by_id),
        signed_at=row.signed_at,
    )


def limit_values(row: LimitsRow) -> dict[LimitName, Decimal]:
    """The numbers of one version; a name that is not there is the site's."""
    found = {name: getattr(row, name.value) for name in LimitName}
    return {name: value for name, value in found.items() if value is not None}


def alert_limits(patient: Patient, *, now: datetime) -> tuple[AlertLimits, ...]:
    """The patient's own alert limits in force at `now`."""
    return tuple(limits_of(row) for row in alert_limits_rows(patient, now=now))


def danger_table_of(patient: Patient, *, now: datetime) -> DangerTable:
    """The danger table for this patient at `now`: the site's, and earlier where a clinician signed it so."""
    return narrowed(danger_table(), alert_limits(patient, now=now))


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
