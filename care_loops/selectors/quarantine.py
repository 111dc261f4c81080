"""What was held back: implausible readings and resources an import could not take. Nothing of it is ever dropped.

Rules
 * A reading of a patient whose care team one is in is shown with the name; another one without it (N10).
 * The newest are listed; how many there are in all is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from governance.services import Acting

from ..models import BloodPressure, ImportRefusal, read_together
from .access import patients_of

SHOWN = 200


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The newest rows, how many there are, and whose names this person may see."""

    readings: tuple[BloodPressure, ...]
    reading_count: int
    refusals: tuple[ImportRefusal, ...]
    refusal_count: int
    named: frozenset[UUID]


def held_back(by: Acting, *, now: datetime) -> HeldBack:
    """What is held back at `now`."""
    readings = BloodPressure.objects.exclude(quarantined="").filter(received_at__lte=now)
    refusals = ImportRefusal.objects.filter(refused_at__lte=now)
    shown = tuple(readings.select_related("patient", "correction").order_by("-received_at", "-taken_at")[:SHOWN])
    read_together(reading.patient for reading in shown)
    return HeldBack(
        readings=shown,
        reading_count=readings.count(),
        refusals=tuple(refusals.defer("body").order_by("-refused_at")[:SHOWN]),
        refusal_count=refusals.count(),
        named=frozenset(patients_of(by, now=now).values_list("pk", flat=True)),
    )
