"""What a patient agrees to and withdraws; and what stops at once when they do (CLINICAL 1.9 row 7, GDPR art. 7 and 22).

Rules
 * A word on a scope is one row and one entry; the newest holds, and no word is no (N2). It names the text shown.
 * Who withdraws automated advice, or asks for care by people only, is proposed nothing any more from the same
   transaction on: what waits is withdrawn by name, what was decided on a proposal and not delivered is taken back. A
   change that a clinician delivered stands, and so does a reduction or a stop that one signed: that is care and no
   advice (N3). The patient may decline it. Danger rules run on: they are no advice either.
 * It takes its turn with whatever else acts on the record, so that no window closes between the word and its effect.
 * What the ML side holds of a person learns of a word on research in the same transaction.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from audit.domain import Purpose
from audit.services import enqueue
from governance.domain import BadInput, Permission, Refusal
from governance.services import Acting, acting_job
from models.registry.services import note_research

from ..consent_texts import ConsentText, text_now
from ..domain.loops import LoopState, Origin
from ..models import Consent, Loop, Patient
from ..selectors.access import patient_for, role_for
from ..selectors.record import agrees, objects, record_ids
from ..selectors.suspended import less_was_signed
from .again import look_again
from .events import note
from .moves import Why, enter, lock
from .outcomes import push_example
from .whose import locked_record
from .windows import withdraw

WAITS = (LoopState.WITH_PATIENT.value, LoopState.WITH_CLINICIAN.value)
DECIDED = (LoopState.APPROVED.value, LoopState.MODIFIED.value)


class TextChanged(Refusal):
    """What was agreed to is not the text that stands now: read it, and agree to that one."""

    code = "consent_text_changed"


def give_consent(
    patient_id: UUID, scope: str, *, given: bool, by: Acting, now: datetime, version: str | None = None
) -> Consent:
    """Record that the patient agrees or withdraws. It takes effect at the next act.

    `version` is that of the text they were shown; None where nothing was (an import, a simulation): the row says so.
    """
    text = _shown(scope, version, given=given)
    with transaction.atomic():
        patient = patient_for(by, patient_id, Permission.GIVE_CONSENT, now=now)
        by = by.under(role_for(by, patient, Permission.GIVE_CONSENT, now=now))
        patient = locked_record(patient.pk)
        look_again(patient.pk)
        entry = note(
            "consent.given" if given else "consent.withdrawn",
            of=("consent", uuid4(), 1),
            by=by,
            now=now,
            patient_id=patient.pk,
            payload={
                "scope": scope,
                "text_version": text.version if text else None,
                "text_sha256": text.digest if text else None,
            },
            purpose=Purpose.PATIENT_REQUEST,
        )
        said = Consent.objects.create(
            patient=patient,
            scope=scope,
            given=given,
            at=now,
            by=by.person(),
            text_version=text.version if text else "",
            text_sha256=text.digest if text else "",
            entry=entry.entry_id,
        )
        if objects(patient, now=now):
            _stop_automation(patient, "human_only_care" if given else "consent_withdrawn", by=by, now=now)
        if scope == "research":
            tell_research(patient, entry=entry.entry_id, now=now)
        return said


def _shown(scope: str, version: str | None, *, given: bool) -> ConsentText | None:
    """The text that was shown; None where none was. A yes is to the text of now."""
    if scope not in Consent.SCOPES:
        raise BadInput(f"There is no consent called {scope!r}.", field="scope", known=list(Consent.SCOPES))
    text = text_now(scope) if version is not None else None
    if text is not None and given and text.version != version:
        raise TextChanged("The text has changed since it was shown to you. Read it again.", version=text.version)
    return text


def _stop_automation(patient: Patient, reason: str, *, by: Acting, now: datetime) -> None:
    """Withdraw what waits, take back what was decided on a proposal and did not go out, in the caller's transaction."""
    open_now = Loop.objects.filter(
        patient_id__in=record_ids(patient), origin=Origin.PROPOSAL.value, state__in=(*WAITS, *DECIDED)
    )
    for found in open_now.order_by("pk"):
        loop = lock(found.pk)  # whoever decided it meanwhile was first, and is seen here
        if loop.state in WAITS:
            withdraw(loop, reason, by=by, now=now)
        elif loop.state in DECIDED and not less_was_signed(loop):
            take_back(loop, reason, now=now)


def take_back(loop: Loop, reason: str, *, now: datetime) -> None:
    """Recall a decided proposal that did not go out, without a signature: the patient's word ended it. Locked by the
    caller; the clinician sees why.
    """
    why = Why(reason=reason, decision=loop.decision, boundary=loop.boundary, purpose=Purpose.PATIENT_REQUEST)
    enter(loop, LoopState.RECALLED, by=acting_job("consent", str(loop.pk)), now=now, why=why)
    push_example(loop, now=now)
    enqueue("patient.tell", {"loop": str(loop.pk), "kind": "recalled"})


def tell_research(patient: Patient, *, entry: UUID, now: datetime) -> None:
    """The ML side learns what holds for every identifier of this person, in the caller's transaction."""
    given = agrees(patient, "research", now=now)
    for each in record_ids(patient):
        note_research(str(each), given=given, entry=entry, now=now)
