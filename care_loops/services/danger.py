"""Danger rules at work: run in the transaction that stores the evidence, without a model and without a broker (N4).

Rules
 * The rules look at the evidence as it arrived, before plausibility; this module only gathers, asks and raises.
 * The patient's own alert limits hold from the moment they are signed (HTN-06).
 * An alert is dated by the clock as far as that can be believed: never after its evidence reached us.
 * `now` is when they look: the clock of receipt for live evidence, the reading's own time in a replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from governance.services import Acting

from ..danger import Context, assess, assess_average, assess_record, pulse_beyond, when_taken
from ..domain.alerts import AlertKind, Finding
from ..domain.readings import Average, Flag
from ..domain.record import Lab, LabKind, SymptomKind, SymptomReport
from ..models import BloodPressure, Patient, SensorSample
from ..models import Lab as LabRow
from ..models import Symptom as SymptomRow
from ..selectors.activity import HEART_RATE, pulse_of, rates_at_rest
from ..selectors.danger import danger_context, danger_table_of
from ..selectors.record import felt, reading_of
from .alerts import raise_findings


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rules said of one piece of evidence: kinds that hold now, kinds too old to act on, alerts touched."""

    kinds: tuple[AlertKind, ...] = ()
    historic: tuple[AlertKind, ...] = ()
    alerts: tuple[UUID, ...] = ()
    asks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def danger_of_readings(
    patient: Patient, rows: Sequence[BloodPressure], *, by: Acting, now: datetime, received_at: datetime
) -> tuple[Seen, ...]:
    """Run the rules on each stored reading, in order; what is known of the person is read once for all of them."""
    table = danger_table_of(patient, now=now)
    context = danger_context(patient, now=now, table=table)
    seen = []
    for row in rows:
        reading = reading_of(row)
        found = assess(reading, context, received_at=now, table=table)
        measured_at = when_taken(reading, received_at)
        seen.append(raised(patient, found, measured_at=measured_at, by=by, now=now, received_at=received_at))
    return tuple(seen)


def danger_of_rates(
    patient: Patient, samples: Sequence[SensorSample], *, by: Acting, now: datetime, received_at: datetime
) -> Seen:
    """Run the rules of heart rate (C12) on a wearable's samples: on the slowest, and on the fastest at rest."""
    table = danger_table_of(patient, now=now)
    since = now - timedelta(days=float(table.windows.bar_days))
    beyond = [s for s in samples if s.kind == HEART_RATE and s.ends_at >= since and pulse_beyond(s.value, table)]
    if not beyond:
        return Seen()
    rates = rates_at_rest(patient, beyond)
    resting = [one for one in rates if Flag.POST_EXERCISE not in one.flags]
    asked = {min(rates, key=pulse_of), *([max(resting, key=pulse_of)] if resting else [])}
    context = danger_context(patient, now=now, table=table)
    found = [f for one in asked for f in assess(one, context, received_at=now, table=table)]
    measured_at = min(max(one.taken_at for one in asked), received_at)
    return raised(patient, found, measured_at=measured_at, by=by, now=now, received_at=received_at)


def danger_of_lab(patient: Patient, row: LabRow, *, by: Acting, now: datetime) -> Seen:
    """Run the rules on a stored laboratory result."""
    lab = Lab(lab_id=str(row.pk), kind=LabKind(row.kind), value=row.value, taken_at=row.taken_at)
    table = danger_table_of(patient, now=now)
    found = assess(lab, danger_context(patient, now=now, table=table), received_at=now, table=table)
    return raised(patient, found, measured_at=row.taken_at, by=by, now=now, received_at=now)


def danger_of_symptom(patient: Patient, row: SymptomRow, *, by: Acting, now: datetime) -> Seen:
    """Run the rules on a stored symptom."""
    felt_at = felt(row)
    symptom = SymptomReport(
        symptom_id=str(row.pk),
        kind=SymptomKind(row.kind),
        reported_at=felt_at,
        suspected_ingredient=row.suspected_ingredient or None,
    )
    table = danger_table_of(patient, now=now)
    found = assess(symptom, danger_context(patient, now=now, table=table), received_at=now, table=table)
    return raised(patient, found, measured_at=felt_at, by=by, now=now, received_at=now)


def danger_of_average(patient: Patient, average: Average, *, window: str, by: Acting, now: datetime) -> Seen:
    """Run the rules on the mean of a window that closes, named `window` in the evidence (CLINICAL 1.3 C9)."""
    table = danger_table_of(patient, now=now)
    context = danger_context(patient, now=now, table=table)
    found = assess_average(average, window, context, received_at=now, table=table)
    return raised(patient, found, measured_at=now, by=by, now=now, received_at=now)


def danger_of_state(patient: Patient, *, by: Acting, now: datetime) -> Seen:
    """Run the rules on what is known of the person: asked whenever pregnancy or regimen may have changed."""
    table = danger_table_of(patient, now=now)
    context: Context = danger_context(patient, now=now, table=table)
    found = assess_record(context, received_at=now, table=table)
    return raised(patient, found, measured_at=now, by=by, now=now, received_at=now, of_event=False)


def raised(
    patient: Patient,
    found: Iterable[Finding],
    *,
    measured_at: datetime,
    by: Acting,
    now: datetime,
    received_at: datetime,
    of_event: bool = True,
) -> Seen:
    """What the rules said, with the alerts it became."""
    findings = tuple(found)
    alerts = raise_findings(
        patient.pk, findings, measured_at=measured_at, received_at=received_at, by=by, now=now, of_event=of_event
    )
    return Seen(
        kinds=tuple(f.kind for f in findings if not f.historic),
        historic=tuple(f.kind for f in findings if f.historic),
        alerts=alerts,
        asks=tuple(dict.fromkeys(ask.value for f in findings if not f.historic for ask in f.asks)),
        findings=findings,
    )
