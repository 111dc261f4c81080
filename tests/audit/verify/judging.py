"""How the tests ask the verifier: as a person does, with files, and looking at the exit status and the report."""

import json
from pathlib import Path

from audit.verify.__main__ import verify
from tests.audit.verify.maker import Log, zipped


def judge(where: Path, bundle: bytes | dict[str, bytes], policy: bytes | Log, *more: str, **files: list[bytes]) -> dict:
    """The report on a bundle. `files`: what follows `--receipts`, `--seen` or `--tsa`."""
    (where / "bundle.zip").write_bytes(zipped(bundle) if isinstance(bundle, dict) else bundle)
    (where / "policy").write_bytes(policy.policy() if isinstance(policy, Log) else policy)
    asked = [str(where / "bundle.zip"), "--policy", str(where / "policy"), *more]
    for name, each in files.items():
        asked.append(f"--{name}")
        for n, data in enumerate(each):
            (where / f"{name}-{n}").write_bytes(data)
            asked.append(str(where / f"{name}-{n}"))
    report = {"result": "unusable", "exit": 2, "failure": None}
    verify(asked, report)
    json.dumps(report)
    return report


def found(report: dict) -> tuple[int, str | None]:
    """Exit status and class."""
    return report["exit"], report["failure"] and report["failure"]["class"]
