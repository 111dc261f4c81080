"""A closed recommendation becomes a labelled example, pushed to the ML side once (DESIGN 3 step 10, CLI-07)."""

from __future__ import annotations

import json
from datetime import datetime

from models.registry.services import take_in

from ..models import Loop
from ..selectors.record import agrees
from ..transitions import ENDINGS


def push_example(loop: Loop, *, now: datetime) -> None:
    """Push the frozen evidence of an ended loop with what was decided and how it ended, in the caller's transaction."""
    if loop.state not in {state.value for state in ENDINGS} or loop.origin != "proposal":
        return
    decision = getattr(loop, "decision", None)
    last = loop.steps.get(seq=loop.version)
    take_in(
        pathway=loop.pathway,
        subject=str(loop.patient_id),
        loop_ref=loop.pk,
        evidence_digest=loop.evidence_digest,
        label=decision.kind if decision else loop.state,
        body={
            "evidence": json.loads(loop.evidence),
            "outcome": json.loads(loop.outcome),
            "ended": loop.state,
            "final_change": json.loads(decision.final_change) if decision else None,
            "reason_code": decision.reason_code if decision else last.reason_code,
            "seconds_to_decide": decision.seconds_to_decide if decision else None,
            "model": {"name": loop.model_name, "version": loop.model_version, "digest": loop.model_digest},
            "policies": json.loads(decision.policies) if decision else None,
        },
        research_consent=agrees(loop.patient, "research", now=now),
        entry=last.entry,
        now=now,
    )
