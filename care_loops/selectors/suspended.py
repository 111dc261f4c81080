"""What of the loops is suspended now: asked of the table in the act's own transaction, never remembered (FAL-03).

Rules
 * A proposal is touched through its pathway, model, boundary, the patient's cohort, and the types of the devices
   that measured what it rests on. A clinician's own order is touched by nothing, nor is a reduction or a stop that a
   clinician signed (N3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from governance.selectors.suspensions import standing
from governance.suspension import Scope, Stopped, about, touching

from ..domain.changes import Change
from ..domain.evidence import Evidence, StoppedBy
from ..domain.loops import Origin
from ..freeze import thaw
from ..models import Decision, KnownDevice, Loop


def stopping_evidence(evidence: Evidence) -> Evidence:
    """The evidence with the suspensions that touch it."""
    found = _stopping(evidence, standing())
    if not found:
        return evidence
    stopped = tuple(StoppedBy(str(s.suspension_id), s.scope.value, s.name, s.cause.value) for s in found)
    return replace(evidence, stopped=stopped)


def stopping_loop(loop: Loop, found: tuple[Stopped, ...] | None = None) -> tuple[Stopped, ...]:
    """The suspensions that touch a recommendation: of those in `found`, or of all that stand now.

    None ever touches a clinician's own order, or a reduction or stop that a clinician signed.
    """
    if loop.origin != Origin.PROPOSAL.value or less_was_signed(loop):
        return ()
    found = standing() if found is None else found
    return _stopping(thaw(loop.evidence, Evidence), found) if found else ()


def less_was_signed(loop: Loop) -> bool:
    """Whether a clinician signed that less is given: a lower dose, or a stop. Then it is care, and no advice (N3)."""
    decision: Decision | None = getattr(loop, "decision", None)
    return decision is not None and thaw(decision.final_change, Change).reduces


def _stopping(evidence: Evidence, found: tuple[Stopped, ...]) -> tuple[Stopped, ...]:
    if not found:
        return ()
    model = evidence.model
    types: Iterable[str] = ()
    if any(one.scope is Scope.DEVICE_TYPE for one in found):
        types = device_types({reading.device_id for reading in evidence.readings if reading.device_id})
    return touching(
        found,
        about(
            pathway=evidence.pathway,
            model=(model.name, model.version) if model else None,
            boundary=evidence.boundary.boundary_id if evidence.boundary else None,
            device_types=types,
            cohorts=evidence.cohorts,
        ),
    )


def device_types(devices: Iterable[str]) -> frozenset[str]:
    """The types of these devices, as far as the entrance has told them."""
    return frozenset(KnownDevice.objects.filter(device__in=list(devices)).values_list("device_type", flat=True))
