"""A hospital of which something can be taken out, and a quick place for it."""

from datetime import timedelta

import pytest

from audit.domain import Job
from audit.services.genesis import found_log
from care_loops.domain.loops import LoopState
from care_loops.services import record_access
from governance.domain import Role
from tests.audit.builders import complete
from tests.factories import NOW, Hospital


@pytest.fixture(autouse=True)
def quick(settings, tmp_path):
    settings.AUDIT_EXPORTS_DIR = tmp_path / "exports"


def at_work() -> Hospital:
    """A hospital with an auditor, a patient whose change was delivered, and another patient of another team."""
    found_log(by=Job("sequencer", "1"), now=NOW)
    hospital = Hospital()
    hospital.join("auditor", Role.AUDITOR, now=NOW - timedelta(days=300))
    hospital.join("officer", Role.COMPLIANCE_OFFICER, now=NOW - timedelta(days=300))
    loop = hospital.loop_at(LoopState.DELIVERED)
    hospital.loop, hospital.mary = loop, loop.patient
    hospital.other = hospital.patient("otto", team=("other_clinician",))
    record_access(hospital.mary.pk, what="summary", by=hospital.acting("clinician"), now=NOW)
    complete()
    return hospital


@pytest.fixture
def site(built) -> Hospital:
    """The same, as it was, for each test."""
    return built.once(at_work)
