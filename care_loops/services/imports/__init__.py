"""FHIR files come into the record: read, gathered by patient, written patient by patient, counted.

Rules
 * Importing twice changes nothing: what is held already is counted as unchanged.
 * What could not be taken is kept with its name (`ImportRefusal`) before anything else is written.
 * One transaction for each patient. A run that breaks off leaves whole patients, says at which stage it stopped, and
   running it again goes on there (DAT-03).
 * History pages nobody: only what is recent as of the patient's latest record (or `as_of`) raises an alert.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from governance.services import Acting

from ...fhir_r4.values import Context
from ...models import ImportRefusal, ImportRun, ImportStage
from ...pathways.hypertension.tables_interchange import codebook
from ..refused import MAX_KEPT
from . import stages
from .collect import Collected, Gathered, Read, SetAside, collect
from .counts import ImportCounts
from .writing import Import, write_patient

Progress = Callable[[str, int, int], None]


def import_fhir(read: Read, how: Import, *, by: Acting, now: datetime, progress: Progress) -> ImportCounts:
    """Take in all that `read` gives (it is called twice). `progress` hears the stage, how
    much of it is done, and of how much.

    A run of the same input that broke off is taken up where it stopped.
    """
    context = Context(book=codebook(), zone=how.zone)
    found = collect(read, context, source_system=how.source_system)
    progress("read", found.items, found.items)
    patients = [found.patients[key] for key in sorted(found.patients)]
    run = _begun(found, how, by=by, now=now, progress=progress)
    before = stages.patients_done(run)
    counts, contents = ImportCounts(refused=found.refused.copy()), []
    for place, gathered in enumerate(patients, start=1):
        if place not in before:
            before[place] = _one(run, place, gathered, found, how, by=by, now=now)
        counts.add(ImportCounts.thaw(before[place].counts))
        contents.append(before[place].content)
        progress("patient", place, len(patients))
    with transaction.atomic():
        said = {"counts": counts.as_json(), "content": stages.of_all(contents)}
        stages.done(run, ImportStage.FINISHED, said, by=by, now=now)
    progress("finished", len(patients), len(patients))
    return counts


def _one(
    run: ImportRun, place: int, gathered: Gathered, found: Collected, how: Import, *, by: Acting, now: datetime
) -> stages.Done:
    """One patient, stored and looked at by the danger rules, and the word that this is done."""
    with transaction.atomic():
        counts = write_patient(gathered, found.known, how, by=by, now=now)
        one = stages.Done(counts.freeze(), stages.content_of(how.source_system, gathered.source_id))
        said = {"counts": one.counts, "content": one.content}
        stages.done(run, ImportStage.PATIENT, said, by=by, now=now, place=place)
        return one


def _begun(found: Collected, how: Import, *, by: Acting, now: datetime, progress: Progress) -> ImportRun:
    """The run that broke off over this input; else a new one, with all that was set aside."""
    same_input = hashlib.sha256(f"{how!r}{found.input_sha256}".encode()).hexdigest()
    with transaction.atomic():
        run = stages.unfinished(how.source_system, same_input)
        if run is not None:
            return run
        aside = {_digest(each, how): each for each in found.aside}
        said: dict[str, dict[str, Any]] = {
            ImportStage.READ: {"items": found.items},
            ImportStage.MAPPED: {"patients": len(found.patients), "pieces": found.kinds()},
            ImportStage.QUARANTINED: {"refused": dict(sorted(found.refused.items())), "kept": len(aside)},
        }
        run = stages.start(how.source_system, same_input, said, by=by, now=now, replay=how.replay)
        _keep(aside, how, run)
    progress("mapped", len(found.patients), len(found.patients))
    progress("quarantined", len(aside), len(aside))
    return run


def _keep(aside: dict[str, SetAside], how: Import, run: ImportRun) -> None:
    """Keep all that was set aside, each body once."""
    ImportRefusal.objects.bulk_create(
        [
            ImportRefusal(
                source_system=how.source_system,
                source_id=each.source_id[:200],
                resource_type=each.resource_type,
                reason=each.reason[:60],
                detail=_plain(f"{each.where}: {each.detail}".removesuffix(": "))[:2000],
                body=_plain(each.body.decode("utf-8", "backslashreplace"))[:MAX_KEPT],
                body_sha256=digest,
                refused_at=run.started_at,
                entry=run.entry,
            )
            for digest, each in aside.items()
        ],
        ignore_conflicts=True,  # the same body was kept by an earlier run
        batch_size=500,
    )


def _digest(aside: SetAside, how: Import) -> str:
    return hashlib.sha256(f"{how.source_system}||".encode() + aside.body).hexdigest()


def _plain(text: str) -> str:
    """Text that a database can hold."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


__all__ = ["Import", "ImportCounts", "import_fhir"]
