"""What was held back: implausible readings and resources an import could not take. Nothing of it is ever dropped.

Rules
 * Who comes as a clinician is shown what was held back of the patients whose care teams they are in, and nothing of
   anybody else: neither a value nor an identifier, nor how many there are (N10).
 * Administrators and data engineers, who mend feeds, are shown every row, without the names of patients.
 * The newest are listed; how many there are in all is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from governance.domain import Role
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..models import BloodPressure, ImportRefusal, read_together
from .access import patients_of
from .record import record_ids

SHOWN = 200
OF_THE_SITE = frozenset({Role.ADMINISTRATOR, Role.DATA_ENGINEER})  # they see rows of no known patient, too


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The newest rows, how many there are, and whose names this person may see."""

    readings: tuple[BloodPressure, ...]
    reading_count: int
    refusals: tuple[ImportRefusal, ...]
    refusal_count: int
    named: frozenset[UUID]


@looking_wider(Wider.HELD_BACK)
def held_back(by: Acting, *, now: datetime) -> HeldBack:
    """What is held back at `now`."""
    mine = patients_of(by, now=now)
    readings = BloodPressure.objects.exclude(quarantined="").filter(received_at__lte=now)
    refusals = ImportRefusal.objects.filter(refused_at__lte=now)
    if not by.standing.roles & OF_THE_SITE:
        records = records_of(by, now=now)
        readings = readings.filter(patient__in=records)
        refusals = refusals.filter(_sent_by(records))
    shown = tuple(readings.select_related("patient", "correction").order_by("-received_at", "-taken_at")[:SHOWN])
    read_together(reading.patient for reading in shown)
    return HeldBack(
        readings=shown,
        reading_count=readings.count(),
        refusals=tuple(refusals.defer("body").order_by("-refused_at")[:SHOWN]),
        refusal_count=refusals.count(),
        named=frozenset(mine.values_list("pk", flat=True)),
    )


def records_of(by: Acting, *, now: datetime) -> list[UUID]:
    """The records of the patients whose care teams this person is in, those merged into them among them."""
    return [one for patient in patients_of(by, now=now) for one in record_ids(patient)]


def _sent_by(records: list[UUID]) -> Q:
    """Refusals of these records: what their own phones sent, which says whose it is."""
    return Q(source_system__in=[f"phone:{record}" for record in records])
