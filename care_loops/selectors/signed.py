"""What a signed row says, in the form in which it was signed: drawn again from the rows, to be compared (11.70)."""

from __future__ import annotations

from typing import Any

from ..domain.evidence import Evidence
from ..domain.loops import Origin
from ..freeze import thaw
from ..models import Decision


def content_of_decision(decision: Decision) -> dict[str, Any]:
    """A decision, or an order: what its clinician signed."""
    loop = decision.loop
    content: dict[str, Any] = {
        "recommendation": str(loop.pk),
        "version": decision.seen_version,
        "patient": str(loop.patient_id),
        "evidence_sha256": loop.evidence_digest,
        "model_sha256": loop.model_digest,
        "decision": decision.kind,
        "proposed": decision.original_change,
        "prescribed": decision.final_change,
        "reason": decision.reason_code,
        "free_text": decision.free_text,
    }
    if loop.origin == Origin.ORDER:
        content["as_of"] = thaw(loop.evidence, Evidence).as_of.isoformat()
    return content
