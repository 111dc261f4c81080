"""The import contracts hold, and each of them fails when somebody breaks it: DESIGN 1 (the line) and 2 (the rungs)."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT

PLANTED = [
    ("audit/domain.py", "import governance.domain", "The line"),
    ("models/serving/__init__.py", "import care_loops.domain.units", "The line"),
    ("care_loops/selectors/__init__.py", "import config.addresses", "The line"),
    ("audit/selectors.py", "import audit.services", "Rungs of audit"),
    ("governance/models/signing.py", "import governance.services", "Rungs of governance"),
    ("care_loops/domain/units.py", "import care_loops.transitions", "Rungs of care_loops"),
    ("models/serving/__init__.py", "import models.registry.models", "Rungs of models"),
    ("care_loops/helpers.py", '"""Odds and ends."""', "Rungs of care_loops"),
    ("audit/utils.py", '"""Odds and ends."""', "Rungs of audit"),
    ("models/common.py", '"""Odds and ends."""', "Rungs of models"),
    ("care_loops/domain/units.py", "import django.utils.timezone", "Pure rungs"),
    ("care_loops/averaging.py", "import urllib.request", "Pure rungs"),
    ("models/serving/__init__.py", "import rest_framework", "Pure rungs"),
    ("audit/merkle.py", "import psycopg", "Pure rungs"),
]


def _lint(where: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=where, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy_of_the_house(tmp_path_factory) -> Path:
    """Our six packages and the contracts, where they can be damaged."""
    where = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", where)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, where / package, ignore=shutil.ignore_patterns("__pycache__", "data"))
    return where


def test_every_contract_is_kept(copy_of_the_house):
    result = _lint(copy_of_the_house)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("path", "line", "contract"), PLANTED, ids=[f"{path}-{line}" for path, line, _ in PLANTED])
def test_a_planted_violation_is_found(copy_of_the_house, path, line, contract):
    planted = copy_of_the_house / path
    before = planted.read_text(encoding="utf-8") if planted.exists() else None
    planted.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        result = _lint(copy_of_the_house)
    finally:
        planted.unlink() if before is None else planted.write_text(before, encoding="utf-8")
    assert result.returncode != 0
    broken = [row for row in result.stdout.splitlines() if row.endswith(" BROKEN")]
    assert any(row.startswith(contract) for row in broken), result.stdout


def test_every_module_below_the_tables_is_held_to_be_pure():
    contracts = {contract["id"]: contract for contract in _settings()["contracts"]}
    pure = set(contracts["pure"]["source_modules"])
    missing = []
    for contract in contracts.values():
        for container in contract.get("containers", []):
            rungs = [_names(layer) for layer in contract["layers"]]
            first_pure = next((i + 1 for i, names in enumerate(rungs) if "models" in names), 1)
            below = {f"{container}.{name}" for names in rungs[first_pure:] for name in names}
            missing += sorted(name for name in below if _exists(name) and name not in pure)
    assert not missing


def test_no_contract_has_exits():
    assert not [c["id"] for c in _settings()["contracts"] if c.get("ignore_imports")]


def _settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]


def _names(layer: str) -> list[str]:
    return [name.strip(" ()") for name in layer.replace("|", ":").split(":")]


def _exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
