"""How far an import came: a row for each stage that is done, kept in the transaction of what it did (DAT-03).

Rules
 * Read, mapped, quarantined; then each patient, whose storing and danger rules are one stage and one transaction; then
   finished. What is not there is not done.
 * A run of the same input, read in the same way, that never finished is taken up again where it stopped: patients that
   are done are not written again, and are counted as they were.
 * `content` of a patient is SHA-256 over what the record holds of them from this source; of the run, over all of them.
   A run that was broken off and taken up again ends with the same number as one that was not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db.models import QuerySet

from audit.domain import Purpose
from governance.services import Acting

from ...models import Allergy, BloodPressure, Condition, ImportRun, ImportStage, Lab, Patient, RegimenEntry
from ...selectors.batches import content
from ..events import note
from .rows import allergy_signature, condition_signature, lab_signature, regimen_signature


@dataclass(frozen=True, slots=True)
class Done:
    """A patient whose stage is done: the counts as they were, and the digest of what the record holds."""

    counts: dict[str, Any]
    content: str


def unfinished(source_system: str, input_sha256: str) -> ImportRun | None:
    """The newest run of this very input, if it never finished."""
    newest = ImportRun.objects.filter(source_system=source_system, input_sha256=input_sha256).order_by("-started_at")
    run = newest.first()
    return None if run is None or run.stages.filter(stage=ImportStage.FINISHED).exists() else run


def patients_done(run: ImportRun) -> dict[int, Done]:
    """The patients of a run that are done, by place."""
    rows = run.stages.filter(stage=ImportStage.PATIENT)
    return {row.place: Done(row.counts["counts"], row.counts["content"]) for row in rows}


def start(
    source_system: str, input_sha256: str, said: dict[str, dict[str, Any]], *, by: Acting, now: datetime, replay: bool
) -> ImportRun:
    """A new run with its first stages, `said` by name with their counts: one entry, in the caller's transaction."""
    run_id = uuid4()
    payload = {"source": source_system, "replay": replay, "stages": said}
    entry = note(
        "import.started", of=("import", run_id, 1), by=by, now=now, payload=payload, purpose=Purpose.OPERATIONS
    )
    run = ImportRun.objects.create(
        id=run_id, source_system=source_system, input_sha256=input_sha256, started_at=now, entry=entry.entry_id
    )
    for stage, counts in said.items():
        ImportStage.objects.create(run=run, stage=stage, place=0, counts=counts, done_at=now, entry=entry.entry_id)
    return run


def done(
    run: ImportRun, stage: str, counts: dict[str, Any], *, by: Acting, now: datetime, place: int = 0
) -> ImportStage:
    """Say that a stage is done, in the transaction of what it did."""
    finished = stage == ImportStage.FINISHED
    entry = note(
        "import.finished" if finished else "import.stage_done",
        of=("import", run.pk, 2) if finished else ("import_stage", uuid4(), 1),
        by=by,
        now=now,
        payload={"run": str(run.pk), "stage": stage, "place": place, "counts": counts},
        purpose=Purpose.OPERATIONS,
    )
    return ImportStage.objects.create(
        run=run, stage=stage, place=place, counts=counts, done_at=now, entry=entry.entry_id
    )


def content_of(source_system: str, source_id: str) -> str:
    """SHA-256 over what the record holds of one patient from a source, without the names and times it got here."""
    patient = Patient.objects.of_source(source_system, source_id).first()
    said: list[list[str]] = []
    tables: tuple[tuple[QuerySet[Any, Any], Callable[[Any], object]], ...] = (
        (Condition.objects.all(), condition_signature),
        (Allergy.objects.all(), allergy_signature),
        (Lab.objects.all(), lab_signature),
        (RegimenEntry.objects.all(), regimen_signature),
        (BloodPressure.objects.all(), lambda row: sorted(content(row).items())),
    )
    for rows, says in tables:
        found = rows.filter(patient=patient, source_system=source_system)
        said += [[type(row).__name__, row.source_id, repr(says(row))] for row in found]
    return hashlib.sha256(json.dumps(sorted(said)).encode()).hexdigest()


def of_all(patients: Iterable[str]) -> str:
    """SHA-256 over the content of all patients of a run, in their order."""
    return hashlib.sha256("".join(patients).encode()).hexdigest()
