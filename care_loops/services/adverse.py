"""An adverse event is reported: a record of its own, with the authority's clock from when it became known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Purpose
from audit.services import keys
from governance.domain import BadInput, NotFound, Permission
from governance.incidents import IncidentClass
from governance.services import Acting

from ..domain.adverse import AdverseKind
from ..models import AdverseEvent, Loop
from ..selectors.access import NOBODY, patient_for, role_for
from .events import note
from .windows import PATHWAY


@dataclass(frozen=True, slots=True)
class Adverse:
    """What happened, how grave, when it began, when it became known here, and the recommendation it followed."""

    kind: AdverseKind
    of: IncidentClass
    onset_at: datetime
    known_at: datetime
    words: str
    loop_id: UUID | None = None
    incident: UUID | None = None


def report_adverse_event(patient_id: UUID, event: Adverse, *, by: Acting, now: datetime) -> AdverseEvent:
    """Record an adverse event of a patient of one's own care team."""
    if not event.onset_at <= event.known_at <= now:
        raise BadInput("It began before it became known, and that is not ahead.", field="known_at")
    if not event.words.strip():
        raise BadInput("Say what happened.", field="words")
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.REPORT_ADVERSE_EVENT, now=now)
        acted = by.under(role_for(by, patient, Permission.REPORT_ADVERSE_EVENT, now=now))
        loop = Loop.objects.filter(pk=event.loop_id, patient=patient).first() if event.loop_id else None
        if event.loop_id and loop is None:
            raise NotFound(NOBODY)
        key = uuid4()
        said = {
            "kind": event.kind.value,
            "class": event.of.value,
            "onset_at": event.onset_at.isoformat(),
            "known_at": event.known_at.isoformat(),
            "words": event.words.strip(),
            "recommendation": str(loop.pk) if loop else "",
        }
        entry = note(
            "adverse_event.recorded",
            of=("adverse_event", key, 1),
            by=acted,
            now=now,
            patient_id=patient.pk,
            payload=said,
            purpose=Purpose.QUALITY,
        )
        return AdverseEvent.objects.create(
            id=key,
            patient=patient,
            loop=loop,
            kind=event.kind.value,
            of=event.of.value,
            pathway=loop.pathway if loop else PATHWAY,
            model_name=loop.model_name if loop else "",
            model_version=loop.model_version if loop else "",
            site=keys.origin(),
            onset_at=event.onset_at,
            known_at=event.known_at,
            incident=event.incident,
            reported_by=by.person(),
            reported_at=now,
            entry=entry.entry_id,
        )
