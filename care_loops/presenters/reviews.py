"""Second reviews in words: a line of the work list, the blind page, rates beside each other.

Rules
 * Before the second reading is recorded nothing of the first decision reaches the page: not its kind, its decider, its
   history, nor what is prescribed now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from ..domain.loops import LoopState
from ..models import Loop, SecondReview
from ..sampling import Mark
from ..selectors.reviews import Rate
from ..selectors.summary import outcome_of
from . import times, words
from .changes import change_shown
from .recommendation import RecommendationShown, recommendation_shown

MARKS: Mapping[Mark, str] = {
    Mark.CLINICIAN_DECIDES: "a clinician had to decide",
    Mark.DANGER: "a danger alert shortly before",
    Mark.OVERRIDE: "decided otherwise than proposed",
    Mark.UNCERTAIN: "the model was uncertain",
    Mark.QUICK: "decided very quickly",
}
TELLS = frozenset({Mark.OVERRIDE.value, Mark.QUICK.value})


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """One decision that waits. Marks that would tell what was decided are left out."""

    id: UUID
    patient: str
    what: str
    when: str
    why: tuple[str, ...]
    begun: bool


@dataclass(frozen=True, slots=True)
class RateShown:
    """A row of the table."""

    words: str
    drawn: int
    read: int
    differed: int
    rate: str
    concerns: int


def review_line(review: SecondReview, *, now: datetime) -> ReviewLine:
    """A line of the work list."""
    loop = review.decision.loop
    change = change_shown(outcome_of(loop).get("change"))
    return ReviewLine(
        id=review.pk,
        patient=loop.patient.shown_name,
        what=change.sentence if change else words.change_kind(loop.change_kind),
        when=times.ago(loop.opened_at, now=now),
        why=tuple(MARKS[Mark(mark)] for mark in review.marks if mark not in TELLS),
        begun=hasattr(review, "reading"),
    )


def blind(loop: Loop, *, now: datetime) -> RecommendationShown:
    """The recommendation as it was proposed, with nothing of what became of it."""
    proposed = change_shown(outcome_of(loop).get("change"))
    shown = recommendation_shown(loop, now=now)
    return replace(
        shown,
        heading=proposed.sentence if proposed else words.change_kind(loop.change_kind),
        change=proposed,
        state=words.state(LoopState.PROPOSED),
        waiting=False,
        decision=None,
        steps=(),
    )


def rates_shown(found: Iterable[Rate]) -> tuple[RateShown, ...]:
    """Rates with their counts beside: a share of few says little."""
    return tuple(
        RateShown(
            words=MARKS[Mark(rate.mark)].capitalize() if rate.mark else "All",
            drawn=rate.drawn,
            read=rate.read,
            differed=rate.differed,
            rate=f"{100 * rate.differed / rate.read:.0f} %" if rate.read else "–",
            concerns=rate.concerns,
        )
        for rate in found
    )
