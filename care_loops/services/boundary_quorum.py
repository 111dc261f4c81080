"""A boundary above the site's threshold: put forward by its prescriber, approved by a pharmacist, then signed.

Rules (CLI-06, GOV-04, leap 2; decision 73)
 * Above the threshold is a boundary that lets more drugs rise, or a dose rise further, than the policy in force says
   (`approval_thresholds`; as shipped where none is). A policy that no longer stands asks for a pharmacist every time.
 * What is approved is the whole boundary, its target, and what a recommendation would come to now: bars of danger, the
   candidate, guardrails, the tier. A reading or an edit that changes one of them makes the approval void.
 * The prescriber who put it forward signs it; only then it is a boundary.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from governance.domain import BadInput, NotAllowed, NotFound, Permission
from governance.models import Approval, Motion
from governance.quorum import QuorumAct
from governance.selectors.quorum import MotionState, newest_motion, state_of
from governance.selectors.quorum import motion as motion_named
from governance.services import Acting, quorum

from ..domain.evidence import Evidence, Outcome
from ..freeze import freeze
from ..models import Boundary, Patient
from ..pathways.hypertension.rules import tables
from ..selectors.access import patient_for
from ..selectors.evidence import assemble
from ..selectors.thresholds import above
from .limits import NewBoundary, NewBoundaryDrug, as_shown, rising, sign_boundary
from .windows import PATHWAY, work_out


def sign_or_put_forward(
    patient_id: UUID, new: NewBoundary, *, reason: str, by: Acting, now: datetime
) -> Boundary | Motion:
    """Sign a boundary; above the threshold put it forward instead. Both are signed by its prescriber."""
    patient = patient_for(by, patient_id, Permission.SIGN_BOUNDARY, now=now)
    if not above(patient, rising(new), now=now):
        return sign_boundary(patient_id, new, by=by, now=now)
    return put_forward(patient_id, new, reason=reason, by=by, now=now)


def put_forward(patient_id: UUID, new: NewBoundary, *, reason: str, by: Acting, now: datetime) -> Motion:
    """Put a boundary forward for a pharmacist. Raises `MotionOpen` while another one of this patient waits."""
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.SIGN_BOUNDARY, now=now)
        return quorum.propose(
            QuorumAct.BOUNDARY,
            subject=f"boundary:{patient.pk}",
            content=_content(patient, new, now=now),
            reason=reason,
            by=by,
            now=now,
        )


def approve_boundary(motion_id: UUID, *, by: Acting, now: datetime) -> Approval:
    """Approve a boundary as it stands now. Raises `MotionVoid` where what it rests on has changed."""
    motion, patient = _whose(motion_id, by, now=now)
    content = _content(patient, _boundary_in(motion, now=now), now=now)
    return quorum.approve(motion.pk, content=content, by=by, now=now)


def sign_approved(motion_id: UUID, *, by: Acting, now: datetime) -> Boundary:
    """The prescriber signs what was approved, if it still is what stands. Raises `QuorumMissing`, `MotionVoid`."""
    with transaction.atomic():
        motion, patient = _whose(motion_id, by, now=now)
        if motion.author_id != by.person().pk:
            raise NotAllowed("Who put the boundary forward signs it.", missing="author")
        new = _boundary_in(motion, now=now)
        quorum.carry_out(motion.pk, content=_content(patient, new, now=now), by=by, now=now)
        return sign_boundary(patient.pk, new, by=by, now=now)


def boundary_motion(patient: Patient, *, now: datetime) -> MotionState | None:
    """What is put forward for this patient, held against what stands now; None where nothing ever was."""
    row = newest_motion(f"boundary:{patient.pk}")
    if row is None:
        return None
    content = None if row.ended else _content(patient, _boundary_in(row, now=now), now=now)
    return state_of(row, content=content, now=now)


def boundary_waits(patient: Patient) -> bool:
    """Whether a boundary is put forward for this patient that has not ended."""
    row = newest_motion(f"boundary:{patient.pk}")
    return row is not None and not row.ended


def _whose(motion_id: UUID, by: Acting, *, now: datetime) -> tuple[Motion, Patient]:
    motion = motion_named(motion_id)
    if motion.act != QuorumAct.BOUNDARY:
        raise NotFound("There is no such motion.")
    return motion, patient_for(by, UUID(motion.content["patient"]), Permission.READ_RECORD, now=now)


def _content(patient: Patient, new: NewBoundary, *, now: datetime) -> dict[str, Any]:
    """The boundary as it would be signed, and what it rests on now."""
    target = patient.targets.order_by("-signed_at", "-pk").first()
    if target is None:
        raise BadInput("Sign a target first: a boundary is signed for one.", field="target")
    newest = patient.boundaries.order_by("-version").values_list("version", flat=True).first()
    evidence, outcome = work_out(assemble(patient, pathway=PATHWAY, now=now, tables=tables()), now=now)
    return {
        "patient": str(patient.pk),
        "version": (newest or 0) + 1,
        "target": str(target.pk),
        "boundary": as_shown(new, at_once=new.starts_at <= now),
        "above": list(above(patient, rising(new), now=now)),
        "rests_on": _rests_on(evidence, outcome),
    }


def _rests_on(evidence: Evidence, outcome: Outcome) -> dict[str, Any]:
    """What a recommendation would come to now: what of it may not change under an approval."""
    return {
        "danger": list(outcome.barred),
        "candidate": freeze(outcome.before_limits),
        "guardrails": sorted({each.rule for each in outcome.spoken}),
        "change": freeze(outcome.change),
        "tier": outcome.tier,
        "withheld": outcome.withheld.value if outcome.withheld else None,
        "policies": sorted(policy.ref for policy in evidence.policies),
    }


def _boundary_in(motion: Motion, *, now: datetime) -> NewBoundary:
    """The boundary that a motion is about."""
    said: Mapping[str, Any] = motion.content["boundary"]
    starts = str(said["starts_at"])
    return NewBoundary(
        drugs=tuple(
            NewBoundaryDrug(str(d["ingredient"]), Decimal(d["max_daily_dose_mg"]), bool(d["allow_up"]))
            for d in said["drugs"]
        ),
        max_steps=int(said["max_steps"]),
        min_interval_days=int(said["min_interval_days"]),
        starts_at=now if starts == "on_signing" else datetime.fromisoformat(starts),
        expires_at=datetime.fromisoformat(str(said["expires_at"])),
        review_everything=bool(said["review_everything"]),
    )
