"""A symptom that is refused is looked at for danger by its kind alone (N4; CLINICAL 1.3, at any pressure).

Rules
 * Of a kind that the danger rules speak of, it is kept as a symptom under a name of its own, in the transaction that
   keeps the refusal: the alert is raised and bars. Nothing else of it is taken over: no words, no drug blamed.
 * A time that cannot be read or believed counts as now; where everything said is history, nobody is paged.
 * The same thing refused again is looked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from governance.services import Acting

from ..danger import assess
from ..domain.record import SymptomKind, SymptomReport
from ..models import Patient
from ..selectors.danger import danger_context, danger_table_of
from .clinical import NewSymptom, record_symptom
from .refused import RefusedBody, keep_refused
from .refused_parts import name_of
from .whose import locked_record


@dataclass(frozen=True, slots=True)
class SymptomSaid:
    """What could be read of a refused symptom. `felt_at` is `None` where no time can be read or believed."""

    kind: SymptomKind
    felt_at: datetime | None


def refuse_symptom(
    body: RefusedBody, said: Sequence[SymptomSaid], *, patient_id: UUID, by: Acting, now: datetime
) -> None:
    """Keep a symptom that is refused, and raise what is dangerous in it, together or not at all."""
    with transaction.atomic():
        keep_refused(body, patient_id=patient_id, by=by, now=now)
        patient = locked_record(patient_id)
        for one in said:
            felt_at = min(one.felt_at or now, now)
            if not _speaks(patient, one.kind, felt_at, now=now):
                continue
            new = NewSymptom(
                source_system=body.source_system,
                source_id=name_of(body.source_id, body.body + one.kind.value.encode()),
                kind=one.kind,
                suspected_ingredient="",
                text="",
                felt_at=felt_at,
            )
            record_symptom(patient_id, new, by=by, now=now)


def _speaks(patient: Patient, kind: SymptomKind, felt_at: datetime, *, now: datetime) -> bool:
    table = danger_table_of(patient, now=now)
    event = SymptomReport(symptom_id="refused", kind=kind, reported_at=felt_at)
    found = assess(event, danger_context(patient, now=now, table=table), received_at=now, table=table)
    return any(not finding.historic for finding in found)
