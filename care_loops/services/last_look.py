"""The last look before a change goes on: what may have happened since is asked of the tables themselves.

Rules (SECURITY 4 step 5; CLINICAL 1.3, 1.9)
 * An open danger lock or bar stops an increase that a machine proposed, also one a clinician is about to approve: the
   clinician's own order goes on. Reductions and stops are never stopped.
 * So does a reading of the danger window itself, whatever became of its alert: the recommendation is looked at again
   after commit, and a yes must not overtake that (N4: rules hold while the relay is down).
 * What goes straight to the patient stands only while its boundary is the newest and unexpired, who signed it is
   responsible for the patient still, the patient consents, the mode lets patients act, and nothing patient-facing is
   barred. Where word of something new waits in the outbox, it is looked at again before the yes: a laboratory result,
   another drug, another target.
"""

from __future__ import annotations

from datetime import datetime

from governance.autonomy import Level
from governance.selectors.autonomy import Cell, earned
from governance.tiers import OperatingMode

from ..danger import bars, scopes
from ..domain.alerts import Scope
from ..domain.changes import Change
from ..domain.loops import LoopState, Origin
from ..models import Alert, Loop, Patient, Symptom
from ..policies import Changed, HeldForSafety, LimitStops, NotNow
from ..selectors.danger import danger_context, danger_table_of
from ..selectors.evidence import mode_in_force
from ..selectors.record import agrees, boundary_row, record_ids, signer_responsible
from .again import waits_to_be_looked_at
from .windows import no_longer_stands

NO_LONGER_STANDS = "This no longer stands. Ask a person before you change anything."
LOOKED_AT_FIRST = "Your care team looks at what you reported first. Do not change anything yet."


def barred_scopes(patient: Patient) -> frozenset[Scope]:
    """What the open alerts of a person bar; a lock bars increases and everything patient-facing."""
    found: set[Scope] = set()
    for alert in Alert.objects.filter(patient_id__in=record_ids(patient), disposed_at__isnull=True):
        found |= {Scope(scope) for scope in alert.bars}
        if alert.locks:
            found |= {Scope.UP_TITRATION, Scope.PATIENT_FACING}
    return frozenset(found)


def increase_barred(patient: Patient, *, now: datetime) -> bool:
    """Whether an open alert locks or bars increases, or what lies in the danger window does, alert or not."""
    return Scope.UP_TITRATION in barred_scopes(patient) | barred_by_evidence(patient, now=now)


def barred_by_evidence(patient: Patient, *, now: datetime) -> frozenset[Scope]:
    """What the readings, results and symptoms of the danger window bar, asked of them and not of the alerts."""
    table = danger_table_of(patient, now=now)
    return scopes(bars(danger_context(patient, now=now, table=table), now=now, table=table))


def pathway_stopped(loop: Loop, *, now: datetime) -> bool:
    """Whether the operating mode of its pathway lets nothing go on; no mode set is none (N2)."""
    mode = mode_in_force(loop.pathway, now=now)
    return mode is None or mode.stopped or mode.mode == OperatingMode.OFF.value


def check_no_lock(loop: Loop, final: Change, *, now: datetime) -> None:
    """Refuse to decide a proposed increase while a danger alert stands, or what raised it lies in the danger window."""
    if not final.intensifies:
        return
    if Scope.UP_TITRATION in barred_scopes(loop.patient):
        raise LimitStops("A danger alert is open: close it first, or write an order of your own.", alert="open")
    if Scope.UP_TITRATION in barred_by_evidence(loop.patient, now=now):
        raise LimitStops("What came in since bars an increase: write an order of your own.", alert="closed")
    if waits_to_be_looked_at(record_ids(loop.patient)) and no_longer_stands(loop, now=now) is not None:
        raise Changed("What came in since changes this recommendation: open it again.", version=loop.version)


def check_still_safe(loop: Loop, change: Change, *, now: datetime) -> None:
    """Refuse the patient's yes to an increase that a machine proposed and that no longer stands.

    The open recommendation is looked at again after commit; until then this closes the gap (N3, CLINICAL 1.3).
    """
    if not change.intensifies or loop.origin != Origin.PROPOSAL.value:
        return
    blamed = Symptom.objects.filter(
        patient_id__in=record_ids(loop.patient), suspected_ingredient=change.ingredient, review__isnull=True
    )
    if increase_barred(loop.patient, now=now) or blamed.exists():
        raise HeldForSafety(LOOKED_AT_FIRST)
    if loop.state == LoopState.WITH_PATIENT.value:
        _check_covered(loop, now=now)
        if waits_to_be_looked_at(record_ids(loop.patient)) and no_longer_stands(loop, now=now) is not None:
            raise HeldForSafety(LOOKED_AT_FIRST)


def _check_covered(loop: Loop, *, now: datetime) -> None:
    newest = boundary_row(loop.patient, now=now)
    mode = mode_in_force(loop.pathway, now=now)
    covered = (
        newest is not None
        and newest.pk == loop.boundary_id
        and newest.expires_at > now
        and signer_responsible(newest, now=now)
        and mode is not None
        and mode.patient_directed
        and not mode.stopped
        and agrees(loop.patient, "automated_advice", now=now)
        and not agrees(loop.patient, "human_only_care", now=now)
        and (not loop.cohort or earned(Cell(loop.model_digest, loop.cohort, loop.change_kind)) is Level.WITHIN_BOUNDARY)
    )
    if not covered:
        raise NotNow(NO_LONGER_STANDS, state=loop.state)
    if Scope.PATIENT_FACING in barred_scopes(loop.patient) | barred_by_evidence(loop.patient, now=now):
        raise HeldForSafety(LOOKED_AT_FIRST)
