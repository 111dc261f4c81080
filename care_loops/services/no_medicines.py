"""The word that a person takes no medicines: a line of the regimen of its own, never what silence means (N2).

Rules
 * It is said by whoever enrols, who was told so, or by a clinician or pharmacist of the care team, who asked.
 * Beside a drug that stands it takes nothing away: the two contradict each other, and the regimen is not fully known.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from governance.domain import Permission
from governance.services import Acting

from ..selectors.access import patient_for, role_for
from .clinical import NewRegimenEntry, Recorded, record_regimen_entry

SAID_HERE = "this site"


def record_no_medicines(patient_id: UUID, *, by: Acting, now: datetime) -> Recorded:
    """Record the word that this person takes no medicines; beside a drug that stands, the two contradict each other."""
    line = NewRegimenEntry(
        source_system=SAID_HERE,
        source_id=f"no-medicines-{uuid4()}",
        ingredient="",
        name="No medicines",
        drug_class=None,
        product="",
        daily_dose_mg=None,
        step_index=None,
        stopped=False,
        starts_at=now,
        unknown_reason="",
        code_system="",
        code="",
        nothing=True,
    )
    return record_regimen_entry(patient_id, line, by=by, now=now)


def say_no_medicines(patient_id: UUID, *, by: Acting, now: datetime) -> Recorded:
    """A clinician or pharmacist of the care team has asked, and the patient takes none."""
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.CONFIRM_PRESCRIPTION, now=now)
        acted = by.under(role_for(by, patient, Permission.CONFIRM_PRESCRIPTION, now=now))
        return record_no_medicines(patient.pk, by=acted, now=now)
