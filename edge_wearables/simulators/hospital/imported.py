"""Patients of the play from FHIR files: their record stays as it was imported; only people and a device are added.

Rules
 * Nothing clinical is invented: the target is signed by a scripted clinician, drugs and results are the files'.
 * Their devices measure around the newest pressure of the file; who has none measures around the first case's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from care_loops.domain.readings import Status
from care_loops.fhir_r4.documents import Item, documents
from care_loops.models import BloodPressure, Patient
from care_loops.services.imports import Import, import_fhir
from governance.domain import Refusal
from governance.services import acting_job

from .cases import Case, cases, document
from .founding import Site

SOURCE = "demonstration-fhir"
NAMES = (".json", ".ndjson", ".jsonl")
BEFORE_THE_WEEKS = timedelta(days=2)
TOLD_EVERY = 10


class NothingToRead(Refusal):
    """The path holds no FHIR file."""

    code = "nothing_to_read"


@dataclass(frozen=True, slots=True)
class Bundles:
    """Files to import, and how many of their patients take part (all, when None)."""

    files: tuple[Path, ...]
    limit: int | None


def bundles(path: Path, *, limit: int | None) -> Bundles:
    """The FHIR files at a path or in a folder. Raises `NothingToRead`."""
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = tuple(p for p in inside if p.is_file() and p.name.lower().removesuffix(".gz").endswith(NAMES))
    if not files:
        raise NothingToRead(f"{path}: there is no FHIR file (.json, .ndjson, .jsonl, or these with .gz).")
    return Bundles(files, limit)


def take_in_bundles(found: Bundles, site: Site, *, say: Callable[[str], None]) -> list[tuple[Case, Patient]]:
    """Import the files before the weeks begin; each patient with a case of the script. Twice changes nothing."""

    def told(stage: str, done: int, of: int) -> None:
        if stage == "patient" and (done % TOLD_EVERY == 0 or done == of):
            say(f"{done} of {of} patients of the files imported")

    at = site.starts_at - BEFORE_THE_WEEKS
    how = Import(source_system=SOURCE, as_of=at, zone=ZoneInfo(document()["site"]["zone"]))
    import_fhir(lambda: _read(found.files), how, by=acting_job("demonstration-import", "fhir"), now=at, progress=told)
    alive = Patient.objects.filter(source_system=SOURCE, died_at__isnull=True)
    patients = sorted(alive, key=lambda patient: patient.source_id)
    return [(_case(patient, number), patient) for number, patient in enumerate(patients[: found.limit])]


def _read(files: tuple[Path, ...]) -> Iterator[Item]:
    for path in files:
        with path.open("rb") as stream:
            yield from documents(str(path), stream)


def _case(patient: Patient, number: int) -> Case:
    """A script for this record: its own pressure, a signed target, nothing that happens besides."""
    newest = (
        BloodPressure.objects.filter(patient=patient, systolic__isnull=False, diastolic__isnull=False, quarantined="")
        .filter(correction__isnull=True)
        .exclude(status=Status.ENTERED_IN_ERROR.value)
        .order_by("-taken_at")
        .first()
    )
    first = cases(1)[0]
    return replace(
        first,
        number=number,
        key=f"imported-{patient.pk}",
        situation="imported from FHIR",
        given=patient.given_name or "Synthetic",
        family=patient.family_name or f"Person {number + 1}",
        zone=patient.zone,
        systolic=round(newest.systolic) if newest is not None and newest.systolic is not None else first.systolic,
        diastolic=round(newest.diastolic) if newest is not None and newest.diastolic is not None else first.diastolic,
        drugs=(),
        clinician=("approve", "approve", "reject", "approve", "wait")[number % 5],
        answer=("accept", "accept", "decline")[number % 3],
    )
