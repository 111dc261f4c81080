"""The intake log, and with it the moment at which a regimen has really changed.

Rules
 * A dose is logged once per source id. What was skipped is said too.
 * The first dose taken of a new line confirms it: only now has the regimen changed, and the recommendation is done.
   For a stop, the first day logged as not taken confirms it.
 * Where the regimen changed elsewhere since the yes, the dose is kept and confirms nothing: the change is taken back by
   name and a person is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import transaction

from governance.domain import BadInput
from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..domain.changes import ChangeKind
from ..domain.clocks import CLOCK_TOLERANCE
from ..domain.loops import LoopState
from ..models import FirstIntake, IntakeLog, Loop, Patient, RegimenEntry
from ..policies import IdentifierTaken
from ..selectors.record import record_ids
from .events import note, text
from .moves import Why, change_of, enter, lock
from .outcomes import push_example
from .regimen_moved import take_back_moved
from .whose import locked_record


@dataclass(frozen=True, slots=True)
class NewIntake:
    """A dose due on a local day: taken at a time, or skipped."""

    source_system: str
    source_id: str
    ingredient: str
    due_on: date
    taken: bool
    taken_at: datetime | None
    daily_dose_mg: Decimal | None = None


@looking_wider(Wider.SOURCES)
def _known(new: NewIntake) -> IntakeLog | None:
    return IntakeLog.objects.filter(source_system=new.source_system, source_id=new.source_id).first()


def log_intake(patient_id: UUID, new: NewIntake, *, by: Acting, now: datetime) -> IntakeLog:
    """Log one dose; the first of a new line confirms it."""
    if new.taken and new.taken_at is None:
        raise BadInput("Say when it was taken.", field="taken_at")
    if new.taken_at is not None and new.taken_at > now:
        raise BadInput("A dose cannot have been taken in the future.", field="taken_at", problem="in_future")
    with transaction.atomic():
        patient = locked_record(patient_id)
        known = _known(new)
        if known is not None and known.patient_id not in record_ids(patient):
            raise IdentifierTaken("This identifier stands in another record.", field="source_id", problem="taken")
        if known is not None:
            return known
        row_id = uuid4()
        payload = {
            "ingredient": new.ingredient,
            "due_on": new.due_on.isoformat(),
            "taken": new.taken,
            "daily_dose_mg": text(new.daily_dose_mg),
        }
        entry = note(
            "intake.recorded", of=("intake", row_id, 1), by=by, now=now, patient_id=patient.pk, payload=payload
        )
        row = IntakeLog.objects.create(
            id=row_id,
            patient=patient,
            source_system=new.source_system,
            source_id=new.source_id,
            received_at=now,
            ingredient=new.ingredient,
            due_on=new.due_on,
            taken=new.taken,
            taken_at=new.taken_at,
            daily_dose_mg=new.daily_dose_mg,
            entry=entry.entry_id,
        )
        _confirm(patient, new, by=by, now=now)
        _confirm_timing(patient, new, by=by, now=now)
        return row


def _confirm(patient: Patient, new: NewIntake, *, by: Acting, now: datetime) -> None:
    """Confirm the line that waits for its first dose of this drug, and end its recommendation."""
    waiting = (
        RegimenEntry.objects.filter(
            patient_id__in=record_ids(patient),
            ingredient=new.ingredient,
            loop__state=LoopState.ACCEPTED.value,
            first_intake__isnull=True,
        )
        .order_by("-starts_at")
        .first()
    )
    if waiting is None or waiting.loop_id is None or (waiting.status == RegimenEntry.ACTIVE) != new.taken:
        return
    at = new.taken_at or now
    loop = lock(waiting.loop_id)
    if at < waiting.starts_at - CLOCK_TOLERANCE or loop.state != LoopState.ACCEPTED.value:
        return
    if take_back_moved(loop, now=now, begun=True):
        return
    entry = note(
        "regimen.confirmed",
        of=("regimen_entry", waiting.pk, 2),
        by=by,
        now=now,
        patient_id=patient.pk,
        payload={"first_intake": at.isoformat()},
    )
    FirstIntake.objects.create(regimen_entry=waiting, at=at, entry=entry.entry_id)
    _done(loop, by=by, now=now)


def _confirm_timing(patient: Patient, new: NewIntake, *, by: Acting, now: datetime) -> None:
    """A change of timing writes no line: the first dose taken after the patient's yes confirms it."""
    if not new.taken or new.taken_at is None:
        return
    accepted = Loop.objects.filter(
        patient_id__in=record_ids(patient), state=LoopState.ACCEPTED.value, regimen_entries__isnull=True
    )
    for found in accepted:
        loop = lock(found.pk)
        change = change_of(loop)
        said_yes = loop.steps.filter(state=LoopState.ACCEPTED.value, entered_at__lte=new.taken_at).exists()
        timing = change.kind is ChangeKind.TIMING and change.ingredient == new.ingredient
        if loop.state != LoopState.ACCEPTED.value or not timing or not said_yes:
            continue
        if not take_back_moved(loop, now=now, begun=True):
            _done(loop, by=by, now=now)


def _done(loop: Loop, *, by: Acting, now: datetime) -> None:
    decision = getattr(loop, "decision", None)
    enter(loop, LoopState.DONE, by=by, now=now, why=Why(decision=decision, boundary=loop.boundary))
    push_example(loop, now=now)
