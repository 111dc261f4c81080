"""`manage.py import_fhir PATH...`: FHIR R4 files into the record.

What the counts mean
 * `blood_pressure`: every panel is counted once: `stored`, `absent` (a component is lacking; stored all the same),
   `quarantined`, or else under `refused` or `unchanged`. A systolic or diastolic value sent on its own is a reading
   that lacks the other one.
 * `medications` are orders and statements by their code: `known` when the formulary recognises it. A recognised drug
   whose dose cannot be read is counted as known, and still makes the regimen not fully known.
 * `refused`: what ought to have been taken and could not be, by reason; each is kept. Other resources are passed over.
 * `danger`: readings that touched an alert (`crisis`, `low`), or were too old to (`historic`).
 * `unchanged`: patients, pressures, medications and laboratory results that the record held already.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from care_loops.fhir_r4.documents import Item, Unreadable, documents
from care_loops.services.imports import Import, ImportCounts, import_fhir
from governance.services.acting import acting_job

WRONG_INPUT = 2
_STAGES = {
    "read": "Read: {done} resources",
    "mapped": "Mapped: {done} patients",
    "quarantined": "Set aside and kept: {done}",
    "patient": "Stored and looked at by the danger rules: {done} of {of} patients",
    "finished": "Finished: {done} patients",
}
READ_IN_FOLDERS = (".json", ".ndjson", ".jsonl")


class Command(BaseCommand):
    """Find the files, make one call, print the counts."""

    help = (
        "Import FHIR R4 Bundles and NDJSON, gzip or not; folders are searched for .json, .ndjson, .jsonl (and .gz). "
        "Importing twice changes nothing. History pages nobody: danger rules look as of each patient's latest record, "
        "or as of --now; with --replay they look at every reading as of its own time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of DESIGN 4, and three for what files may leave out."""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="file or folder")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--replay", action="store_true", help="look at each reading as of its own time")
        parser.add_argument("--now", help="ISO date and time with offset: when the danger rules look")
        parser.add_argument("--zone", help="IANA zone of the patients and of times without offset; default: as written")
        parser.add_argument("--source", default="fhir", help="name of the sending system; ids are unique within it")
        parser.add_argument("--synthetic", action="store_true", help="label these records as synthetic")
        parser.add_argument("--progress", action="store_true", help="say how far it is, on the error stream")

    def handle(self, *_: Any, **options: Any) -> None:
        """Translate options in and counts out."""
        files = _files(options["paths"])
        how = Import(
            source_system=options["source"][:200],
            as_of=_moment(options["now"]),
            replay=options["replay"],
            zone=_zone(options["zone"]),
            synthetic=True if options["synthetic"] else None,
        )
        self.loud = options["progress"] or sys.stderr.isatty()
        self.came = ("read", 0, 0)
        by = acting_job("import_fhir", str(uuid4()))
        try:
            counts = import_fhir(lambda: _read(files), how, by=by, now=timezone.now(), progress=self._say)
        except BaseException:
            self.stderr.write("\n" + where_it_broke(self.came))
            raise
        self.stdout.write(json.dumps(counts.as_json()) if options["json"] else in_words(counts))

    def _say(self, stage: str, done: int, of: int) -> None:
        self.came = (stage, done, of)
        if self.loud:
            self.stderr.write(f"\r{_STAGES[stage].format(done=done, of=of)}", ending="\n" if done == of else "")
            self.stderr.flush()


def where_it_broke(came: tuple[str, int, int]) -> str:
    """At which stage an import broke off, and where the same command goes on."""
    stage, done, of = came
    if stage in ("patient", "quarantined"):
        last = f"after patient {done} of {of}" if stage == "patient" else "before the first patient"
        following = done + 1 if stage == "patient" else 1
        return f"The import broke off at stage patient, {last}. Run it again: it goes on with patient {following}."
    if stage == "finished":
        return "The import had finished."
    return f"The import broke off after stage {stage}; no patient was written. Run it again: it begins anew."


def _files(paths: list[str]) -> list[Path]:
    """The files to read, in a stable order. A path that does not exist is a mistake, not an empty import."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file() and not p.name.startswith("."))
            found += [p for p in inside if p.name.lower().removesuffix(".gz").endswith(READ_IN_FOLDERS)]
        elif path.is_file():
            found.append(path)
        else:
            raise CommandError(f"{path}: no such file or folder", returncode=WRONG_INPUT)
    return list(dict.fromkeys(found))


def _read(files: list[Path]) -> Iterator[Item]:
    for path in files:
        try:
            with path.open("rb") as stream:
                yield from documents(str(path), stream)
        except OSError as err:
            yield Unreadable(str(path), "file_not_readable", err.strerror or "", str(path).encode())


def _moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as err:
        raise CommandError(f"--now {written}: not an ISO date and time", returncode=WRONG_INPUT) from err
    if moment.tzinfo is None:
        raise CommandError(
            f"--now {written}: say the offset, such as 2026-01-31T08:00:00+01:00", returncode=WRONG_INPUT
        )
    return moment


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise CommandError(f"--zone {name}: no such IANA zone", returncode=WRONG_INPUT) from err


def in_words(counts: ImportCounts) -> str:
    """The counts for people."""
    refused = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.refused.items())) or "none"
    return "\n".join(
        (
            f"Patients: {counts.patients} new",
            f"Blood pressures: {counts.stored} stored, {counts.absent} absent, {counts.quarantined} quarantined",
            f"Medications: {counts.known} with a known code, {counts.unknown} unknown",
            f"Laboratory results: {counts.labs}",
            f"Refused: {refused}",
            f"Danger: {counts.crisis} crisis, {counts.low} low, {counts.historic} historic",
            f"Unchanged: {counts.unchanged}",
        )
    )
