"""Simulated cohorts as files: a table, and a manifest that says what it is and of which bytes.

Rules (N12, DAT-01)
 * Every file and every manifest says that the people are synthetic and that nothing in it is clinical evidence.
 * The manifest names the tables of parameters by version and digest, the family with its changed numbers, the seed, and
   the SHA-256 of each file: the same call writes the same bytes.
 * Held-out families are sealed before training: the digest of their sheet is an entry of the record, so that a gate can
   see that the draw is older than the run. A manifest of a sealed cohort names its commitment, never seed or strengths.
 * A folder that holds something already is refused; nothing is overwritten.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction

from audit.domain import Event, Job, ObjectRef, Purpose
from audit.services import append

from ..pathways.hypertension.cohort_simulator.course import Cohort, Plan, Progress, role_of, simulate
from ..pathways.hypertension.cohort_simulator.families import family
from ..pathways.hypertension.cohort_simulator.parameters import Parameters, published
from ..pathways.hypertension.cohort_simulator.people import BadCohort
from ..pathways.hypertension.cohort_simulator.sealing import NotOpened, Sealed, seal, sheet_digest, unseal
from ..pathways.hypertension.table_files import read_table

LABEL = "SYNTHETIC: simulated people. No evidence of clinical effect; for training and testing software only."
TABLES = (
    "cohort_parameters",
    "cohort_drugs",
    "cohort_families",
    "drug_steps",
    "titration_protocols",
    "averaging_rules",
)
CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where a cohort's numbers come from, and what its manifest may say of them."""

    parameters: Parameters
    seed: int
    said: Mapping[str, object]


def open_source(name: str, seed: int) -> Source:
    """A family as it is kept, with a seed of the caller's. Raises `BadCohort`."""
    kind = family(name)
    changes = {change.parameter: change.value for change in kind.changes}
    return Source(kind.parameters(published()), seed, {"family": name, "changes": changes, "seed": seed})


def sealed_source(name: str, box: Path, shares: Sequence[Path]) -> Source:
    """A family of a sealed box; its manifest names the commitment, and neither strengths nor seed.

    Raises `BadCohort` and `NotOpened`.
    """
    try:
        content = json.loads(box.read_bytes())
        lines = [path.read_text(encoding="utf-8") for path in shares]
    except (OSError, ValueError) as err:
        raise NotOpened(f"the box or a share cannot be read: {err}") from err
    found = unseal(content if isinstance(content, dict) else {}, lines)
    if name not in found:
        raise BadCohort(f"{name}: not in this box; there are {', '.join(found)}")
    one = found[name]
    return Source(one.parameters(), one.seed, {"family": name, "sealed": one.commitment()})


def write_cohort(
    source: Source, *, people: int, windows: int, out: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Simulate a cohort and write it to `out`. Returns the manifest. Raises `BadCohort`."""
    plan = Plan(people, windows, source.seed)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadCohort(f"{out}: not an empty folder")
    cohort = simulate(plan, source.parameters, progress=progress)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_table(cohort, out / "cohort.csv")
    except OSError as err:
        raise BadCohort(f"{out}: cannot be written: {err.strerror}") from err
    manifest = _manifest(plan, cohort, source)
    manifest["files"] = {"cohort.csv": _digest(out / "cohort.csv")}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def seal_families(out: Path, *, custodians: int, by: Job, now: datetime) -> dict[str, Any]:
    """Draw the held-out families, lock them, and register their sheet in the record, or do neither.

    Writes `box.json` and one file for each custodian, readable by its owner alone. Raises `NotOpened`, `BadCohort`.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadCohort(f"{out}: not an empty folder")
    sealed = seal(custodians, secrets.token_bytes)
    sheet: Any = sealed.box["sheet"]
    digest = sheet_digest(sheet)
    with transaction.atomic():
        append(
            Event(
                type="families.sealed",
                occurred_at=now,
                actor=by,
                object=ObjectRef(type="sealed_families", id=digest),
                purpose=Purpose.QUALITY,
                payload={key: sheet[key] for key in ("custodians", "commitments", "tables")},
            )
        )
        try:  # inside: what could not be written was not sealed either
            _write_sealed(sealed, out)
        except OSError as err:
            raise BadCohort(f"{out}: cannot be written: {err.strerror}") from err
    return {"digest": digest, "families": sorted(sheet["commitments"]), "custodians": custodians}


def _write_sealed(sealed: Sealed, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    (out / "box.json").write_text(json.dumps(sealed.box, indent=2) + "\n", encoding="utf-8")
    for number, share in enumerate(sealed.shares, start=1):
        path = out / f"share-{number}.txt"
        path.touch(mode=0o600)
        path.write_text(share + "\n", encoding="utf-8")


def _manifest(plan: Plan, cohort: Cohort, source: Source) -> dict[str, Any]:
    refs = [read_table(table).ref for table in TABLES]
    return {
        "synthetic": True,
        "label": LABEL,
        **source.said,
        "people": plan.people,
        "windows": plan.windows,
        "rows": cohort.rows,
        "censored": cohort.censored(),
        "columns": [{"name": n, "unit": cohort.units[n], "role": role_of(n).value} for n in cohort.columns],
        "tables": [{"name": ref.name, "version": ref.version, "digest": ref.digest} for ref in refs],
        "numpy": np.__version__,
    }


def _write_table(cohort: Cohort, path: Path) -> None:
    """CSV: a header, then a line for each person and window; what is missing is empty."""
    names = list(cohort.columns)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for begin in range(0, cohort.rows, CHUNK):
            part = [_written(cohort.columns[name][begin : begin + CHUNK]) for name in names]
            writer.writerows(zip(*part, strict=True))


def _written(column: np.ndarray[Any, np.dtype[np.generic]]) -> list[object]:
    values: list[Any] = column.tolist()
    if column.dtype == bool:
        return [int(value) for value in values]
    if column.dtype.kind == "f":
        return ["" if math.isnan(value) else value for value in values]
    return list(values)


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
