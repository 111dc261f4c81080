"""Whose turn it is: patients whose window is due, patients with a recommendation that waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from ..domain.loops import LoopState, Origin
from ..models import Loop, Patient
from ..transitions import OPEN
from .record import record_ids

WAITING = (LoopState.WITH_CLINICIAN.value, LoopState.WITH_PATIENT.value)


def window_due(*, pathway: str, every: timedelta, now: datetime) -> list[UUID]:
    """Patients whose last proposal is older than `every`, or who never had one, by id."""
    recent = Loop.objects.filter(pathway=pathway, origin=Origin.PROPOSAL.value, opened_at__gt=now - every)
    due = Patient.objects.filter(merged_into__isnull=True, died_at__isnull=True)
    return list(due.exclude(pk__in=recent.values("patient_id")).order_by("pk").values_list("pk", flat=True))


def with_something_waiting() -> list[UUID]:
    """Patients with a proposal that waits for them or for a clinician, or a change on its way, by id."""
    open_now = Loop.objects.filter(state__in=[state.value for state in OPEN])
    return sorted(set(open_now.values_list("patient_id", flat=True)))


def on_its_way(patient: Patient, *, pathway: str) -> Loop | None:
    """The change that is decided and not yet settled with the patient: another can be ordered once it is recalled."""
    going = sorted({state.value for state in OPEN} - set(WAITING))
    found = Loop.objects.filter(patient__in=record_ids(patient), pathway=pathway, state__in=going)
    return found.order_by("-opened_at").first()
