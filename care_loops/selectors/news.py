"""What has come since the evidence of a recommendation was frozen: shown beside it, never mixed into it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..models import BloodPressure, Lab, Loop, Patient, Symptom
from .record import record_ids
from .summary import ReadingSeen, reading_seen

SHOWN = 40


@dataclass(frozen=True, slots=True)
class News:
    """Readings, laboratory results and symptoms received after the freeze, newest first."""

    readings: tuple[ReadingSeen, ...]
    labs: tuple[Lab, ...]
    symptoms: tuple[Symptom, ...]


def news_since(loop: Loop, *, now: datetime) -> News:
    """What was received after `loop` was opened, up to `now`."""
    patient: Patient = loop.patient
    ids = record_ids(patient)
    readings = BloodPressure.objects.filter(patient__in=ids, received_at__gt=loop.opened_at, received_at__lte=now)
    labs = Lab.objects.filter(patient__in=ids, received_at__gt=loop.opened_at, received_at__lte=now)
    symptoms = Symptom.objects.filter(patient__in=ids, received_at__gt=loop.opened_at, received_at__lte=now)
    return News(
        readings=tuple(
            reading_seen(row) for row in readings.select_related("correction").order_by("-taken_at")[:SHOWN]
        ),
        labs=tuple(labs.order_by("-taken_at")[:SHOWN]),
        symptoms=tuple(symptoms.order_by("-felt_at")[:SHOWN]),
    )
