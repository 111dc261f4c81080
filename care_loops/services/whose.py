"""Whose record is written: what arrives for a merged record is written into the one that was kept."""

from __future__ import annotations

from uuid import UUID

from governance.domain import NotFound

from ..models import Patient
from ..selectors.access import NOBODY
from ..selectors.record import whole


def locked_record(patient_id: UUID) -> Patient:
    """The record of this person, locked until the transaction ends: acts on one person take turns.

    Rows that point at the record are not held up: who holds one and writes another would wait for us, and we for them.
    """
    found = Patient.objects.filter(pk=patient_id).first()
    if found is None:
        raise NotFound(NOBODY)
    return Patient.objects.select_for_update(of=("self",), no_key=True).get(pk=whole(found).pk)
