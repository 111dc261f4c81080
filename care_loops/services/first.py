"""Deciding first: the rule is begun in the record, and a clinician says what they would do before they are shown it.

Rules (CLINICAL 4.3)
 * Beginning is an act with its entry; a rule that ships with another rate begins anew. There is no act that ends it.
 * An answer is one change that no rule stops, no change, or another one in words. It is recorded once for each person,
   before any decision; then the proposal is shown to that person, and the decision they sign is a second, own act.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from audit.domain import Purpose
from governance.domain import BadInput, NotFound, Permission
from governance.services import Acting

from ..domain.evidence import Outcome, candidate_key
from ..domain.loops import LoopState
from ..freeze import thaw
from ..models import DecideFirst, FirstAnswer, FirstRule, Loop
from ..oversight.first import OTHER, STAY, FirstRules, amounts_to
from ..pathways.hypertension.tables_oversight import first_rules
from ..policies import AnsweredAlready, check_can_enter, check_not_expired, check_seen
from ..selectors.access import NOBODY, patient_for, role_for
from ..selectors.first import options, rule_now
from .events import note
from .moves import lock


@dataclass(frozen=True, slots=True)
class AnswerInput:
    """What a clinician would do: the key of a change, `stay`, or `other` in words; of the version that was shown."""

    answer: str
    free_text: str
    seen_version: int


def begin_decide_first(*, by: Acting, now: datetime, rules: FirstRules | None = None) -> FirstRule | None:
    """Begin the rule that ships, or `rules`, unless it was begun last. None when nothing is new."""
    rules = rules or first_rules()
    with transaction.atomic():
        held = rule_now()
        if held is not None and (held.rules, held.permille) == (rules.version, rules.permille):
            return None
        key = uuid4()
        said = {"rules": rules.version, "permille": rules.permille}
        entry = note(
            "decide_first.begun", of=("first_rule", key, 1), by=by, now=now, payload=said, purpose=Purpose.QUALITY
        )
        return FirstRule.objects.create(
            id=key, rules=rules.version, permille=rules.permille, begun_at=now, entry=entry.entry_id
        )


def answer_first(loop_id: UUID, said: AnswerInput, *, by: Acting, now: datetime) -> FirstAnswer:
    """Record what this person would do. Raises NotFound, NotAllowed, BadInput, AnsweredAlready, Changed, Expired."""
    try:
        with transaction.atomic():
            return _answer(loop_id, said, by=by, now=now)
    except IntegrityError as taken:
        raise AnsweredAlready("You have just said what you would do.") from taken


def _answer(loop_id: UUID, said: AnswerInput, *, by: Acting, now: datetime) -> FirstAnswer:
    found = Loop.objects.filter(pk=loop_id).values_list("patient_id", flat=True).first()
    if found is None:
        raise NotFound(NOBODY)
    patient_for(by, found, Permission.DECIDE, now=now)
    loop = lock(loop_id)
    acted = by.under(role_for(by, loop.patient, Permission.DECIDE, now=now))
    check_can_enter(LoopState(loop.state), LoopState.REJECTED)
    check_not_expired(loop.expires_at, now)
    check_seen(said.seen_version, loop.version)
    if not DecideFirst.objects.filter(loop=loop).exists():
        raise BadInput("This proposal was not drawn: decide it.", field="answer")
    if FirstAnswer.objects.filter(loop=loop, person=by.person()).exists():
        raise AnsweredAlready("You have said what you would do: the proposal is shown to you.")
    outcome = thaw(loop.outcome, Outcome)
    _check(said, outcome)
    key, meant = uuid4(), amounts_to(said.answer, candidate_key(outcome.change))
    payload = {
        "recommendation": str(loop.pk),
        "version": loop.version,
        "evidence_sha256": loop.evidence_digest,
        "answer": said.answer,
        "free_text": said.free_text,
    }
    entry = note(
        "decide_first.answered",
        of=("first_answer", key, 1),
        by=acted,
        now=now,
        patient_id=loop.patient_id,
        payload=payload,
        purpose=Purpose.QUALITY,
    )
    return FirstAnswer.objects.create(
        id=key,
        loop=loop,
        person=by.person(),
        answer=said.answer,
        amounts_to=meant.value,
        free_text=said.free_text,
        said_at=now,
        entry=entry.entry_id,
    )


def _check(said: AnswerInput, outcome: Outcome) -> None:
    known = [candidate_key(one.change) for one in options(outcome)] + [STAY, OTHER]
    if said.answer not in known:
        raise BadInput("Choose what you would do.", field="answer", known=sorted(known))
    if said.answer == OTHER and not said.free_text.strip():
        raise BadInput("Say in words what you would do instead.", field="free_text")
