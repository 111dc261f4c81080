"""`simulate_cohort`: the files say what they are, of which bytes, and never less."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from care_loops.pathways.hypertension.cohort_simulator.course import dose_columns
from tests.architecture.source import ROOT


def simulate(out: Path, **more: object) -> tuple[dict, str]:
    said, progress = StringIO(), StringIO()
    options = {"patients": 40, "windows": 3, "seed": 9, "out": out, "as_json": True} | more
    call_command("simulate_cohort", stdout=said, stderr=progress, **options)
    return json.loads(said.getvalue()), progress.getvalue()


def test_the_files_are_labelled_digested_and_the_same_every_time(tmp_path):
    manifest, progress = simulate(tmp_path / "one")
    again, _ = simulate(tmp_path / "two")
    assert manifest == again == json.loads((tmp_path / "one/manifest.json").read_text())
    assert manifest["synthetic"] is True
    assert manifest["label"].startswith("SYNTHETIC")
    data = (tmp_path / "one/cohort.csv").read_bytes()
    assert manifest["files"]["cohort.csv"] == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert progress.splitlines() == ["window 1 of 3", "window 2 of 3", "window 3 of 3"]
    assert {table["name"] for table in manifest["tables"]} > {"cohort_parameters", "cohort_drugs", "drug_steps"}


def test_the_table_has_a_row_for_each_person_and_window_and_nothing_is_filled_in(tmp_path):
    manifest, _ = simulate(tmp_path / "one", patients=200)
    with (tmp_path / "one/cohort.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == manifest["rows"] == 400
    assert [column["name"] for column in manifest["columns"]] == list(rows[0])
    assert sum(row["next_systolic"] == "" for row in rows) == manifest["censored"] > 0
    assert set(dose_columns()) < set(rows[0])
    assert {column["role"] for column in manifest["columns"]} == {"key", "observed", "step", "outcome", "truth"}


def test_another_seed_and_another_family_are_other_bytes(tmp_path):
    one, _ = simulate(tmp_path / "one")
    seed, _ = simulate(tmp_path / "seed", seed=10)
    other, _ = simulate(tmp_path / "other", family="cuff_reads_high")
    digests = {each["files"]["cohort.csv"]["sha256"] for each in (one, seed, other)}
    assert len(digests) == 3
    assert other["changes"] == {"device_bias_mean": 5.0}


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CommandError, match=r"bad-cohort: .*not an empty folder"):
        simulate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(CommandError, match=r"cannot be written|not an empty folder"):
        simulate(tmp_path / "mine.txt" / "under")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"patients": 0}, "people"),
        ({"patients": 10**9}, "people"),
        ({"windows": 1}, "windows"),
        ({"seed": -4}, "seed"),
        ({"family": "nobody"}, "no family of this name"),
    ],
    ids=["nobody", "too many", "one window", "negative seed", "no such family"],
)
def test_bad_input_is_refused_by_name_before_anything_is_written(tmp_path, wrong, said):
    with pytest.raises(CommandError, match=f"bad-cohort: .*{said}"):
        simulate(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_a_web_worker_imports_neither_numpy_nor_what_trains():
    """The whole site is loaded, and asked; then numpy is, to see that it would have been found."""
    program = (
        "import django; django.setup(); import config.urls, config.wsgi, sys; "
        "heavy = lambda: [m for m in ('numpy', 'torch', 'shap', 'opacus', 'pandas', 'sklearn') if m in sys.modules]; "
        "print(heavy()); import numpy; print(heavy())"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert found.stdout.splitlines() == ["[]", "['numpy']"], found.stderr
