"""The record verifies itself; where it does not hold, that is a finding (11.10(a); PEERS 3 auditor)."""

from __future__ import annotations

from datetime import datetime

from audit.domain import Job
from audit.services.self_check import verify_and_record

from ..domain import NotAllowed
from ..findings import About, Severity
from .acting import Acting
from .findings import Seen, raise_finding


def check_record(*, by: Acting, now: datetime) -> bool:
    """Verify the record and record what came of it; what does not hold is raised as a critical finding."""
    if not isinstance(by.actor, Job):
        raise NotAllowed("The record is verified by a job.", missing="job")
    report = verify_and_record(by=by.actor, now=now)
    bad = report.first_bad
    if bad is not None:
        seen = Seen(
            cause="record_does_not_verify",
            subject=About.RECORD.value,
            name="",
            severity=Severity.CRITICAL,
            title="The record does not verify",
            evidence_kind="check",
            evidence=f"{bad.code} at {bad.position}"[:160],
        )
        raise_finding(seen, by=by, now=now)
    return report.verified
