"""A reading that does not count, by an entry and never by an edit."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from governance.domain import BadInput, NotFound, Permission
from governance.services import Acting

from ..models import BloodPressure, Correction
from ..policies import NotNow
from ..selectors.access import NOBODY, patient_for, role_for
from ..selectors.record import reading_of, record_ids
from .again import look_again
from .events import note
from .take_in import Arrival, stored_as, take_in
from .whose import locked_record


def correct_reading(
    reading_id: UUID, *, reason: str, moved_to: UUID | None, text: str, by: Acting, now: datetime
) -> Correction:
    """Say that a reading was taken for the wrong patient or entered in error; `moved_to` is whose it really is.

    Moving writes the reading anew into the other record, where danger rules run on it; this person must be in both care
    teams. Averages, trend and open recommendations of both patients are looked at again.
    """
    if reason not in ("wrong_patient", "entered_in_error"):
        raise BadInput("Choose why the reading does not count.", field="reason")
    if moved_to is not None and reason != "wrong_patient":
        raise BadInput("Only a reading of another person is moved.", field="moved_to")
    with transaction.atomic():
        row = BloodPressure.objects.filter(pk=reading_id).first()
        if row is None:
            raise NotFound(NOBODY)
        patient = patient_for(by, row.patient_id, Permission.CORRECT_RECORD, now=now)
        acted = by.under(role_for(by, patient, Permission.CORRECT_RECORD, now=now))
        locked_record(patient.pk)  # two corrections of one reading take turns
        if Correction.objects.filter(reading=row).exists():
            raise NotNow("This reading has already been corrected.", state="corrected")
        moved = _move(row, moved_to, by=acted, now=now) if moved_to is not None else None
        entry = note(
            "reading.corrected",
            of=("reading", row.pk, 1),
            by=acted,
            now=now,
            patient_id=row.patient_id,
            reason=reason,
            payload={"text": text, "moved_to": str(moved) if moved else None},
        )
        correction = Correction.objects.create(
            reading=row, reason=reason, moved_to_id=moved, by=by.person(), at=now, text=text, entry=entry.entry_id
        )
        look_again(row.patient_id)
        return correction


def _move(row: BloodPressure, to: UUID, *, by: Acting, now: datetime) -> UUID:
    other = patient_for(by, to, Permission.CORRECT_RECORD, now=now)
    if row.patient_id in record_ids(other):
        raise BadInput("The reading is already in this record.", field="moved_to")
    arrival = Arrival("correction", f"{row.pk}:{uuid4()}", reading_of(row), absent_reason=row.absent_reason)
    taken = take_in(other.pk, [arrival], by=by, now=now, received_at=now, imported=True)
    look_again(other.pk)
    return stored_as(taken.results[0])
