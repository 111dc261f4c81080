"""The content of one entry of the record, for whom the patient's record is open; a patient as the record knows them.

Rules (SECURITY 2.3 A2, A21)
 * Content about a patient opens for whom READ_RECORD is given for that patient in this moment; content about nobody
   opens when its kind is known to show no patient. Everything else is withheld, and it is said why.
 * Whether there is content, and whether it was destroyed, is no secret: the entry says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.opening import Shredded
from audit.selectors import payload_of
from audit.services.export_reading import pseudonym
from audit.services.searching import stored_entry
from governance.domain import NotFound
from governance.services import Acting

from ..models import Patient
from .access import NOBODY
from .exports import SHOWS_NO_PATIENT, readable_subjects
from .record import record_ids, whole

NOT_YOURS = "It is about a patient whose record is not open to you. Who treats them can open it."
NOT_KNOWN = "Entries of this kind may show a patient; without knowing whom, nobody is shown them here."


@dataclass(frozen=True, slots=True)
class Content:
    """What may be shown: `body`, or why not. `patient` is the record it is about, where this person may read it."""

    entry_id: UUID
    type: str
    body: Mapping[str, Any] | None
    withheld: str
    shredded: bool
    patient: str | None


def content_of(entry_id: UUID, *, by: Acting, now: datetime) -> Content:
    """The content of an entry, or why it is not shown. Raises NotFound when there is no such entry."""
    stored = stored_entry(entry_id)
    if stored is None or stored.entry is None:
        raise NotFound("There is no such entry in the record.")
    kind, subject = str(stored.entry["type"]), stored.entry.get("subject")
    if subject is None:
        patient, why = None, "" if kind.partition(".")[0] in SHOWS_NO_PATIENT else NOT_KNOWN
    else:
        patient = readable_subjects(by, None, now=now).get(subject)
        why = "" if patient is not None else NOT_YOURS
    if why:
        return Content(entry_id, kind, None, why, shredded=False, patient=None)
    found = payload_of(entry_id)
    if isinstance(found, Shredded):
        return Content(entry_id, kind, None, "", shredded=True, patient=patient)
    return Content(entry_id, kind, found, "", shredded=False, patient=patient)


def known_as(patient_id: UUID) -> tuple[Patient, tuple[str, ...]]:
    """The record that was kept, and the pseudonyms of it and of what was merged into it. Raises NotFound."""
    found = Patient.objects.filter(pk=patient_id).first()
    if found is None:
        raise NotFound(NOBODY)
    kept = whole(found)
    return kept, tuple(pseudonym(each) for each in record_ids(kept))
