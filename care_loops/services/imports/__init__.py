"""FHIR files come into the record: read, gathered by patient, written patient by patient, counted.

Rules
 * Importing twice changes nothing: what is held already is counted as unchanged.
 * What could not be taken is kept with its name (`ImportRefusal`) before anything else is written.
 * One transaction for each patient. A run that breaks off leaves whole patients, and running it again completes it.
 * History pages nobody: only what is recent as of the patient's latest record (or `as_of`) raises an alert.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from django.db import transaction

from audit.domain import Purpose
from governance.services import Acting

from ...fhir_r4.values import Context
from ...models import ImportRefusal
from ...pathways.hypertension.tables_interchange import codebook
from ..events import note
from ..refused import MAX_KEPT
from .collect import Collected, Read, SetAside, collect
from .counts import ImportCounts
from .writing import Import, write_patient

Progress = Callable[[int, int], None]


def import_fhir(read: Read, how: Import, *, by: Acting, now: datetime, progress: Progress) -> ImportCounts:
    """Take in all that `read` gives (it is called twice). `progress` hears patients done and patients in all."""
    context = Context(book=codebook(), zone=how.zone)
    found = collect(read, context, source_system=how.source_system)
    run = uuid4()
    _begin(run, found, how, by=by, now=now)
    counts = ImportCounts(refused=found.refused.copy())
    patients = [found.patients[key] for key in sorted(found.patients)]
    for done, gathered in enumerate(patients, start=1):
        counts.add(write_patient(gathered, found.known, how, by=by, now=now))
        progress(done, len(patients))
    with transaction.atomic():
        payload = {"run": str(run), "counts": counts.as_json()}
        note("import.finished", of=("import", run, 2), by=by, now=now, payload=payload, purpose=Purpose.OPERATIONS)
    return counts


def _begin(run: object, found: Collected, how: Import, *, by: Acting, now: datetime) -> None:
    """The entry that says an import began, and all that was set aside."""
    kept = {_digest(aside, how): aside for aside in found.aside}
    with transaction.atomic():
        entry = note(
            "import.started",
            of=("import", run, 1),
            by=by,
            now=now,
            payload={
                "source": how.source_system,
                "patients": len(found.patients),
                "replay": how.replay,
                "refused": dict(sorted(found.refused.items())),
            },
            purpose=Purpose.OPERATIONS,
        )
        ImportRefusal.objects.bulk_create(
            [
                ImportRefusal(
                    source_system=how.source_system,
                    source_id=aside.source_id[:200],
                    resource_type=aside.resource_type,
                    reason=aside.reason[:60],
                    detail=_plain(f"{aside.where}: {aside.detail}".removesuffix(": "))[:2000],
                    body=_plain(aside.body.decode("utf-8", "backslashreplace"))[:MAX_KEPT],
                    body_sha256=digest,
                    refused_at=now,
                    entry=entry.entry_id,
                )
                for digest, aside in kept.items()
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
