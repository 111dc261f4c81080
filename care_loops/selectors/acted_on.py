"""A row a person wants to act on, through its patient: foreign and non-existent look the same (N10)."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from governance.domain import NotFound, Permission
from governance.permissions import TABLE, check
from governance.services import Acting

from ..models import Alert, BloodPressure, Symptom
from .access import NOBODY, patient_for

_Row = TypeVar("_Row", Alert, BloodPressure, Symptom)


def alert_for(by: Acting, alert_id: UUID, permission: Permission, *, now: datetime) -> Alert:
    """The alert, when this person may do `permission` with its patient's record."""
    return _found(by, Alert.objects.filter(pk=alert_id).first(), permission, now=now)


def symptom_for(by: Acting, symptom_id: UUID, permission: Permission, *, now: datetime) -> Symptom:
    """The symptom, when this person may do `permission` with its patient's record."""
    return _found(by, Symptom.objects.filter(pk=symptom_id).first(), permission, now=now)


def reading_for(by: Acting, reading_id: UUID, permission: Permission, *, now: datetime) -> BloodPressure:
    """The reading, when this person may do `permission` with its patient's record."""
    return _found(by, BloodPressure.objects.filter(pk=reading_id).first(), permission, now=now)


def _found(by: Acting, row: _Row | None, permission: Permission, *, now: datetime) -> _Row:
    if not any((permission, role) in TABLE for role in by.standing.roles):
        check(permission, by.standing, frozenset())
    if row is None:
        raise NotFound(NOBODY)
    patient_for(by, row.patient_id, permission, now=now)
    return row
