"""Deciding first: whether a proposal is drawn, who has still to answer, and the proposal taken out until they have.

Rules (CLINICAL 4.3)
 * Drawn is what goes to a clinician the first time, by the site's key and the rule begun last; before any was begun,
   nothing is.
 * A veiled recommendation has lost, in memory, what was proposed and why; what could be done stays, in an order that
   tells nothing. Whatever is drawn from it afterwards cannot show what is not there.
 * Only who may decide is asked: a pharmacist sees the proposal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.services import keys
from governance.domain import Role
from governance.services import Acting

from ..domain.changes import STAY, Candidate
from ..domain.evidence import Outcome, candidate_key
from ..domain.loops import LoopState, Origin
from ..freeze import freeze, thaw
from ..models import DecideFirst, FirstAnswer, FirstRule, Loop, Step
from ..oversight.first import drawn_first
from ..policies import AnswerFirst

_TAKEN_OUT: dict[str, object] = {"prediction": None, "tier_reasons": [], "detail": [], "spoken": []}


@dataclass(frozen=True, slots=True)
class Drawn:
    """How the draw went: proposals that reached a clinician, how many were drawn, how many not as the key says."""

    proposals: int
    drawn: int
    differing: int


def rule_now() -> FirstRule | None:
    """The rule begun last."""
    return FirstRule.objects.order_by("-begun_at", "-entry").first()


def drawing(loop: Loop) -> FirstRule | None:
    """The rule under which this loop, on its way to a clinician, is drawn now; None when it is not, or was before."""
    if loop.origin != Origin.PROPOSAL.value or (rule := rule_now()) is None:
        return None
    if not drawn_first(keys.tenant_key(), str(loop.pk), permille=rule.permille):
        return None
    return None if DecideFirst.objects.filter(loop=loop).exists() else rule


def drawn_said(rule: FirstRule | None) -> dict[str, str]:
    """What the entry says of it."""
    return {"decide_first": rule.rules} if rule is not None else {}


def who_answers(by: Acting) -> bool:
    """Whether this person is one of those who decide."""
    return by.user is not None and Role.CLINICIAN in by.standing.roles


def unanswered(by: Acting, loops: Iterable[Loop]) -> set[UUID]:
    """Which of these wait for this person's own answer, by identifier; one query, and none where nothing waits."""
    waiting = [loop.pk for loop in loops if loop.state == LoopState.WITH_CLINICIAN.value]
    if not waiting or not who_answers(by):
        return set()
    asked = DecideFirst.objects.filter(loop__in=waiting).exclude(loop__first_answers__person=by.user)
    return set(asked.values_list("loop", flat=True))


def veil(by: Acting, loops: Iterable[Loop]) -> None:
    """Take out, in memory, what was proposed from those that wait for this person's own answer."""
    listed = list(loops)
    hidden = unanswered(by, listed)
    for loop in listed:
        if loop.pk in hidden:
            loop.outcome = _veiled(loop.outcome)
            loop.asks_first, loop.change_kind = True, ""


def _veiled(frozen: str) -> str:
    """The outcome without what was proposed; what could be done, ordered by its key."""
    outcome = thaw(frozen, Outcome)
    left = sorted(options(outcome), key=lambda one: candidate_key(one.change))
    plain = tuple(Candidate(one.change) for one in left)
    said = json.loads(frozen) | _TAKEN_OUT | {"candidates": json.loads(freeze(plain))}
    return json.dumps(said | {"change": None, "before_limits": None, "tier": ""})


def options(outcome: Outcome) -> tuple[Candidate, ...]:
    """Every change that no rule stops, the proposed one among them however it was narrowed."""
    free = [one for one in outcome.candidates if not one.barred and one.change != STAY]
    if all(one.change != outcome.change for one in free) and outcome.change != STAY:
        free.append(Candidate(outcome.change))
    return tuple(free)


def check_answered_first(loop: Loop, by: Acting) -> None:
    """Refuse a decision on what was drawn before the decider has said what they would do."""
    asked = DecideFirst.objects.filter(loop=loop).exists()
    if asked and not FirstAnswer.objects.filter(loop=loop, person=by.person()).exists():
        raise AnswerFirst("Say first what you would do; then the proposal is shown.", recommendation=str(loop.pk))


def drawn_in(since: datetime, until: datetime) -> Drawn:
    """Draw again, with the key: of the proposals that first reached a clinician in that time under a rule."""
    rules = list(FirstRule.objects.order_by("begun_at", "entry"))
    first: dict[UUID, datetime] = {}
    steps = Step.objects.filter(
        state=LoopState.WITH_CLINICIAN.value,
        loop__origin=Origin.PROPOSAL.value,
        entered_at__gte=since,
        entered_at__lt=until,
    )
    for loop, at in steps.order_by("entered_at", "seq").values_list("loop", "entered_at"):
        first.setdefault(loop, at)
    drawn = dict(DecideFirst.objects.filter(loop__in=first).values_list("loop", "rule__permille"))
    key, proposals, differing = keys.tenant_key(), 0, 0
    for loop, at in first.items():
        held = [rule for rule in rules if rule.begun_at <= at]
        if not held and loop not in drawn:
            continue
        proposals += 1
        rate = drawn.get(loop, held[-1].permille if held else 0)
        differing += drawn_first(key, str(loop), permille=rate) != (loop in drawn)
    return Drawn(proposals, len(drawn), differing)
