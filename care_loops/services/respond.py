"""A change reaches the patient, and the patient answers: accept, decline, or ask a person instead.

Rules
 * Delivery happens after commit, from the outbox, once. It needs the decision that approved or modified (N1).
 * Between decision and delivery a new danger stops the delivery of an increase: its alert asks the clinician.
 * What is never given to this person, and became known after the signature, holds any decided change back, an order
   too (`since_signed`).
 * What rests on a regimen that changed elsewhere since is taken back by name before it is delivered, told, accepted or
   begun (`regimen_moved`); what is past its time when it would be delivered, too.
 * A mode set to stopped or off holds what was proposed and decided, as a suspension does.
 * A reduction or a stop that a clinician signed is care and not advice: no suspension, mode, objection or time holds it
   (N3).
 * What is suspended is neither delivered, told nor accepted; declining and asking a person are always open.
 * Before a change within the boundary is told, and before it is shown as waiting, the same last look as at the yes.
 * What goes under a boundary is told and accepted only while its signer is responsible for the patient (N1).
 * The message gives the old and the new total daily dose, and what to stop.
 * Accepting writes the line of the regimen; it counts from the first dose (`intake`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Purpose
from governance.domain import NotFound, Permission
from governance.services import Acting
from governance.suspension import check_goes_on

from ..domain.alerts import AlertKind, AlertSeverity, Finding
from ..domain.changes import Change, ChangeKind
from ..domain.loops import LoopState, Origin
from ..models import Loop, Message, Patient, RegimenEntry
from ..pathways.hypertension.tables_therapy import formulary
from ..policies import HeldForSafety, NotNow, check_can_enter, check_not_expired
from ..regimen_news import News
from ..selectors.access import NOBODY, patient_for, role_for
from ..selectors.phone import Holds, holds_on
from ..selectors.record import objects
from ..selectors.suspended import less_was_signed, stopping_loop
from ..wording import change_for_patient, moved_for_patient, recalled_for_patient
from .alerts import raise_findings
from .clock import end_too_old
from .events import note, text
from .last_look import LOOKED_AT_FIRST, NO_LONGER_STANDS, check_still_safe, increase_barred, pathway_stopped
from .moves import Why, change_of, enter, lock
from .outcomes import push_example
from .regimen_moved import stopped_by_news, take_back_moved
from .since_signed import bring_up, spoken_since
from .windows import no_longer_stands, withdraw

# Stands on the worklist of the care team until a clinician has called.
_ASKED = Finding(
    kind=AlertKind.PATIENT_ASKS,
    severity=AlertSeverity.CARD,
    page=False,
    lock=False,
    bars=frozenset(),
    same_day_item=True,
    unverified=False,
    historic=False,
    asks=(),
    evidence=(),
    rules=(),
    sources=(),
)


class Answer(StrEnum):
    """What a patient can answer."""

    ACCEPT = "accept"
    DECLINE = "decline"
    ASK_PERSON = "ask_person"


def deliver(loop_id: UUID, *, by: Acting, now: datetime) -> Loop | None:
    """Put an approved or modified change before the patient. Returns None when it no longer waits for that.

    What is past its time, or rests on a regimen that changed elsewhere, is taken back here and now. What else holds it
    lets it wait; held too long, the clock takes it back. A reduction or a stop that was signed is held by none of it.
    """
    with transaction.atomic():
        loop = lock(loop_id)
        if loop.state not in (LoopState.APPROVED.value, LoopState.MODIFIED.value):
            return None
        change = change_of(loop)
        if not change.reduces and now >= loop.expires_at:
            end_too_old(loop, by=by, now=now)
            return None
        if take_back_moved(loop, now=now) or _waits(loop, change, now=now):
            return None
        if spoken := spoken_since(loop, change, now=now):
            bring_up(loop, spoken, by=by, now=now)
            return None
        enter(loop, LoopState.DELIVERED, by=by, now=now, why=Why(decision=loop.decision))
        told = loop.messages.filter(kind="change").exists()  # what was first proposed, before a person was asked
        tell(loop, "change_decided" if told else "change", change_for_patient(change), by=by, now=now)
        return loop


def _waits(loop: Loop, change: Change, *, now: datetime) -> bool:
    """Whether a decided proposal goes no further now. An order never waits here, nor what reduces or stops (N3)."""
    if loop.origin != Origin.PROPOSAL.value or change.reduces:
        return False
    if stopping_loop(loop) or pathway_stopped(loop, now=now) or objects(loop.patient, now=now):
        return True
    return change.intensifies and increase_barred(loop.patient, now=now)


def tell_proposed(loop_id: UUID, *, by: Acting, now: datetime) -> None:
    """Tell the patient of a change within the boundary, unless it no longer stands when the word goes out.

    What no longer stands is withdrawn by name. It has stood on the phone, so its taking back is told all the same.
    """
    with transaction.atomic():
        loop = lock(loop_id)
        if loop.state not in (LoopState.WITH_PATIENT.value, LoopState.ACCEPTED.value) or stopping_loop(loop):
            return
        if loop.state == LoopState.WITH_PATIENT.value and now >= loop.expires_at:
            end_too_old(loop, by=by, now=now)
            return
        if take_back_moved(loop, now=now):
            return
        change = change_of(loop)
        ended = _why_ended(loop, change, now=now) if loop.state == LoopState.WITH_PATIENT.value else None
        if ended is not None:
            withdraw(loop, ended, by=by, now=now)
            return
        tell(loop, "change", change_for_patient(change), by=by, now=now)


def _why_ended(loop: Loop, change: Change, *, now: datetime) -> str | None:
    """Why the patient's yes would be refused now; None while it would be taken."""
    try:
        check_still_safe(loop, change, now=now)
    except HeldForSafety:
        return no_longer_stands(loop, now=now) or "danger_rule"
    except NotNow:
        return no_longer_stands(loop, now=now) or "tier_changed"
    return None


def holds_now(patient: Patient, loops: Iterable[Loop], *, now: datetime) -> Holds:
    """What stands against the changes that wait for this patient: what is shown as open to a yes would be taken.

    Changes nothing: what no longer stands is only shown as that.
    """
    held, lapsed = set(), set()
    for loop in loops:
        if loop.state not in (LoopState.WITH_PATIENT.value, LoopState.DELIVERED.value):
            continue
        try:
            check_may_go_on(loop, now=now)
        except HeldForSafety:
            held.add(loop.pk)
        except NotNow:
            lapsed.add(loop.pk)
    return replace(holds_on(patient), held=frozenset(held), lapsed=frozenset(lapsed))


def tell(loop: Loop, kind: str, words: str, *, by: Acting, now: datetime) -> Message:
    """Put a message before the patient, once for each loop and kind."""
    known = Message.objects.filter(loop=loop, kind=kind).first()
    if known is not None:
        return known
    message_id = uuid4()
    entry = note(
        "message.sent",
        of=("message", message_id, 1),
        by=by,
        now=now,
        patient_id=loop.patient_id,
        payload={"kind": kind, "text": words, "recommendation": str(loop.pk)},
    )
    return Message.objects.create(
        id=message_id, patient_id=loop.patient_id, loop=loop, kind=kind, text=words, sent_at=now, entry=entry.entry_id
    )


def tell_recalled(loop_id: UUID, *, by: Acting, now: datetime) -> None:
    """Tell the patient that a change was taken back; one that never reached the patient is not spoken of."""
    with transaction.atomic():
        loop = lock(loop_id)
        reached = (LoopState.WITH_PATIENT.value, LoopState.DELIVERED.value)
        if not loop.steps.filter(state__in=reached).exists():
            return
        moved = loop.steps.latest("seq").reason_code in set(News)
        words = moved_for_patient(change_of(loop)) if moved else recalled_for_patient(change_of(loop))
        tell(loop, "recalled", words, by=by, now=now)


def respond(loop_id: UUID, answer: Answer, *, reason_code: str, by: Acting, now: datetime) -> Loop:
    """The patient's answer. Asking a person moves an open change to the clinician, or tells the one who decided."""
    with transaction.atomic():
        found = Loop.objects.filter(pk=loop_id).values_list("patient_id", flat=True).first()
        if found is None:
            raise NotFound(NOBODY)
        patient_for(by, found, Permission.RESPOND, now=now)
        loop = lock(loop_id)
        if LoopState(loop.state) not in (LoopState.WITH_PATIENT, LoopState.DELIVERED, LoopState.ACCEPTED):
            _not_visible(loop)
        acted = by.under(role_for(by, loop.patient, Permission.RESPOND, now=now))
        if not less_was_signed(loop):  # what reduces or stops is not over with its time
            check_not_expired(loop.expires_at, now)
        why = Why(
            reason=reason_code,
            decision=getattr(loop, "decision", None),
            boundary=loop.boundary,
            purpose=Purpose.PATIENT_REQUEST,
        )
        if answer is Answer.ASK_PERSON:
            return _ask(loop, why, by=acted, now=now)
        state = LoopState.ACCEPTED if answer is Answer.ACCEPT else LoopState.DECLINED
        check_can_enter(LoopState(loop.state), state)
        if state is LoopState.ACCEPTED:
            check_goes_on(stopping_loop(loop))
            check_may_go_on(loop, now=now)
        enter(loop, state, by=acted, now=now, why=why)
        if state is LoopState.ACCEPTED:
            _write_line(loop, by=acted, now=now)
        else:
            push_example(loop, now=now)
        return loop


def check_may_go_on(loop: Loop, *, now: datetime) -> None:
    """Refuse the patient's yes to what no longer stands, or is held by what became known since it was signed."""
    change = change_of(loop)
    check_still_safe(loop, change, now=now)
    stopped = loop.origin == Origin.PROPOSAL.value and not change.reduces and pathway_stopped(loop, now=now)
    if stopped or stopped_by_news(loop, change, now=now):
        raise NotNow(NO_LONGER_STANDS, state=loop.state)
    if spoken_since(loop, change, now=now):
        raise HeldForSafety(LOOKED_AT_FIRST)


def _not_visible(loop: Loop) -> None:
    """What the patient never saw does not exist for the patient; what ended says so."""
    visible = {LoopState.DECLINED, LoopState.RECALLED, LoopState.DONE, LoopState.EXPIRED, LoopState.WITHDRAWN}
    seen = loop.messages.exists() or loop.steps.filter(state=LoopState.WITH_PATIENT.value).exists()
    if LoopState(loop.state) in visible and seen:
        check_can_enter(LoopState(loop.state), LoopState.ACCEPTED)
    raise NotFound(NOBODY)


def _ask(loop: Loop, why: Why, *, by: Acting, now: datetime) -> Loop:
    if loop.state == LoopState.WITH_PATIENT.value:
        enter(loop, LoopState.WITH_CLINICIAN, by=by, now=now, why=why)
    else:  # already decided: the clinician is told that the patient wants to talk, and the change is declined
        check_can_enter(LoopState(loop.state), LoopState.DECLINED)
        enter(loop, LoopState.DECLINED, by=by, now=now, why=why)
        push_example(loop, now=now)
    raise_findings(loop.patient_id, [_ASKED], measured_at=now, received_at=now, by=by, now=now)
    return loop


def _write_line(loop: Loop, *, by: Acting, now: datetime) -> None:
    """The line of the regimen that the accepted change writes. A change of timing writes none."""
    change = change_of(loop)
    if change.kind in (ChangeKind.TIMING, ChangeKind.STAY) or change.ingredient is None:
        return
    stopped = change.kind is ChangeKind.STOP
    drug = formulary().drug(change.ingredient)
    dose = change.new_daily_dose
    step = None
    if drug is not None and dose is not None:
        step = next((i for i, rung in enumerate(drug.steps) if rung.daily_dose == dose), None)
    row_id = uuid4()
    payload = {
        "ingredient": change.ingredient,
        "daily_dose_mg": text(dose.value) if dose else None,
        "stopped": stopped,
        "recommendation": str(loop.pk),
    }
    entry = note(
        "regimen.changed", of=("regimen_entry", row_id, 1), by=by, now=now, patient_id=loop.patient_id, payload=payload
    )
    RegimenEntry.objects.create(
        id=row_id,
        patient_id=loop.patient_id,
        loop=loop,
        source_system="clinaiops",
        source_id=str(loop.pk),
        received_at=now,
        ingredient=change.ingredient,
        name=change.drug or (drug.name if drug else change.ingredient),
        drug_class=change.drug_class.value if change.drug_class else "",
        product=change.product or "",
        daily_dose_mg=None if stopped or dose is None else dose.value,
        step_index=step,
        status=RegimenEntry.STOPPED if stopped else RegimenEntry.ACTIVE,
        starts_at=now,
        known=True,
        unknown_reason="",
        entry=entry.entry_id,
    )
