"""Simulated cohorts as files: a table, and a manifest that says what it is and of which bytes.

Rules (N12, DAT-01)
 * Every file and every manifest says that the people are synthetic and that nothing in it is clinical evidence.
 * The manifest names the tables of parameters by version and digest, the family with its changed numbers, the seed, and
   the SHA-256 of each file: the same call writes the same bytes.
 * A folder that holds something already is refused; nothing is overwritten.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..pathways.hypertension.cohort_simulator.course import Cohort, Plan, Progress, role_of, simulate
from ..pathways.hypertension.cohort_simulator.families import family
from ..pathways.hypertension.cohort_simulator.parameters import published
from ..pathways.hypertension.cohort_simulator.people import BadCohort
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


def write_cohort(plan: Plan, name: str, out: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Simulate a cohort of a family and write it to `out`. Returns the manifest. Raises `BadCohort`."""
    kind = family(name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadCohort(f"{out}: not an empty folder")
    cohort = simulate(plan, kind.parameters(published()), progress=progress)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_table(cohort, out / "cohort.csv")
    except OSError as err:
        raise BadCohort(f"{out}: cannot be written: {err.strerror}") from err
    manifest = _manifest(plan, cohort, kind.name, {c.parameter: c.value for c in kind.changes})
    manifest["files"] = {"cohort.csv": _digest(out / "cohort.csv")}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _manifest(plan: Plan, cohort: Cohort, name: str, changes: Mapping[str, float]) -> dict[str, Any]:
    refs = [read_table(table).ref for table in TABLES]
    return {
        "synthetic": True,
        "label": LABEL,
        "family": name,
        "changes": dict(changes),
        "people": plan.people,
        "windows": plan.windows,
        "seed": plan.seed,
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
