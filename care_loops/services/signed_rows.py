"""Every signed row of the house, gone over each night and by hand: those that are not what was signed are named.

Rules (21 CFR 11.70; SECURITY 3.4)
 * Nothing that is signed is left out: a test holds the tables that name a signature against the readers below.
 * What came of it is recorded (`signature.checked`), with outcome `error` when a row was found; of people nothing is
   in it but the identifiers of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.domain import Event, Job, ObjectRef, Outcome, Purpose
from audit.selectors import next_version
from audit.services import append
from audit.services.recording import ObjectVersionTaken
from audit.services.self_check import OBJECT
from governance.models import (
    Approval,
    FindingEvent,
    GateSignature,
    Motion,
    PolicyVersion,
    SuspensionEnd,
    SuspensionEndAsked,
)
from governance.services.signed_here import (
    signed_findings,
    signed_gates,
    signed_motions,
    signed_policies,
    signed_suspension_ends,
)
from governance.services.signed_rows import (
    SIGNATURES,
    Checked,
    SignedRow,
    check_rows,
)
from models.registry.models import ModelApproval, ModelRelease
from models.registry.services.signed_rows import signed_model_rows

from ..models import AlertLimits, Boundary, BreakGlass, Decision, ProbeAnswer, Step, Target
from ..selectors.signed import (
    signed_alert_limits,
    signed_boundaries,
    signed_decisions,
    signed_openings,
    signed_probes,
    signed_recalls,
    signed_targets,
)

log = logging.getLogger(__name__)
MOST_NAMED = 50

# Which reader goes over which table.
READERS: dict[Callable[[], Iterator[SignedRow]], tuple[type, ...]] = {
    signed_decisions: (Decision,),
    signed_recalls: (Step,),
    signed_targets: (Target,),
    signed_boundaries: (Boundary,),
    signed_alert_limits: (AlertLimits,),
    signed_openings: (BreakGlass,),
    signed_probes: (ProbeAnswer,),
    signed_motions: (Motion, Approval),
    signed_policies: (PolicyVersion,),
    signed_suspension_ends: (SuspensionEnd, SuspensionEndAsked),
    signed_gates: (GateSignature,),
    signed_findings: (FindingEvent,),
    signed_model_rows: (ModelApproval, ModelRelease),
}


def check_signatures() -> Checked:
    """Go over every signed row. Nothing is repaired, and nothing is recorded."""
    return check_rows(row for reader in READERS for row in reader())


def check_signatures_and_record(*, by: Job, now: datetime) -> Checked:
    """Go over every signed row, and record what came of it."""
    checked = check_signatures()
    for each in checked.found:
        log.error("%s %s is not what was signed: %s %s", each.kind, each.row, each.fault.value, ", ".join(each.fields))
    event = Event(
        type="signature.checked",
        occurred_at=now,
        actor=by,
        object=ObjectRef(OBJECT, SIGNATURES, next_version(OBJECT, SIGNATURES)),
        purpose=Purpose.AUDIT,
        outcome=Outcome.ERROR if checked.found else Outcome.OK,
        payload=said_of(checked),
    )
    try:
        with transaction.atomic():
            append(event)
    except ObjectVersionTaken:
        log.warning("another check of signatures was recorded at the same moment; this one is not")
    return checked


def said_of(checked: Checked) -> dict[str, Any]:
    """What came of it in JSON; of many faults the first are named."""
    return {
        "rows": checked.rows,
        "holds": checked.holds,
        "shredded": checked.shredded,
        "before": checked.before,
        "kinds": dict(checked.kinds),
        "faults": len(checked.found),
        "found": [
            {
                "kind": each.kind,
                "row": each.row,
                "entry": str(each.entry),
                "fault": each.fault.value,
                "fields": list(each.fields),
            }
            for each in checked.found[:MOST_NAMED]
        ],
    }
