"""Who looked: reading a patient's record leaves an entry, with the person and the client that acted for them.

What is read under break-glass says so, and stands beside its opening for whoever reviews it (N10). What a clinician
opens of a patient with a recommendation that waits is kept beside that recommendation: whether evidence was looked at
before the decision is measured, not asked (CLINICAL 4.3).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit.domain import Purpose
from governance.domain import Role
from governance.services import Acting

from ..domain.loops import LoopState
from ..models import BreakGlassRead, Look, Loop
from ..selectors.glass import opening_of
from .events import note

_KINDS = {
    "recommendation": Look.PROPOSAL,
    "patient page": Look.RECORD,
    "trend": Look.TREND,
}


def record_access(patient_id: UUID, *, what: str, by: Acting, now: datetime) -> None:
    """Record that this person read `what` of this patient's record."""
    with transaction.atomic():
        opening = opening_of(by, [patient_id], now=now)
        entry = note(
            "access.read",
            of=("patient", patient_id, None),
            by=by,
            now=now,
            patient_id=patient_id,
            payload={"what": what},
            purpose=Purpose.BREAK_GLASS if opening is not None else Purpose.TREATMENT,
            break_glass=opening.pk if opening is not None else None,
        )
        if opening is not None:
            BreakGlassRead.objects.create(
                opening=opening, what=what[:120], client=by.client or "", at=now, entry=entry.entry_id
            )
        else:
            _looked(patient_id, what, by=by, now=now, entry=entry.entry_id)


def _looked(patient_id: UUID, what: str, *, by: Acting, now: datetime, entry: UUID) -> None:
    """Keep the first time this clinician opened this kind of page of a recommendation that waits for a decision."""
    kind = _KINDS.get(what.partition(" ")[0] if what.startswith("recommendation ") else what)
    if kind is None or by.user is None or Role.CLINICIAN not in by.standing.roles:
        return
    of_record = Q(patient_id=patient_id) | Q(patient__merged_into__kept_id=patient_id)
    waiting = Loop.objects.filter(of_record, state=LoopState.WITH_CLINICIAN.value)
    fresh = waiting.exclude(looks__person=by.user, looks__what=kind).values_list("pk", flat=True)
    looks = (Look(loop_id=key, patient_id=patient_id, person=by.user, what=kind, at=now, entry=entry) for key in fresh)
    Look.objects.bulk_create(looks)


def record_listing(what: str, *, by: Acting, now: datetime) -> None:
    """Record that this person read a list on which several patients stand, such as the worklist."""
    with transaction.atomic():
        note("access.read", of=("list", what, None), by=by, now=now, payload={"what": what})
