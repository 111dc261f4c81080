"""When an act may happen: refusals that name what has changed meanwhile. Who may is in `governance.permissions`.

Rules
 * A check raises its reason. It reads what it is given and nothing else.
 * The loser of a race is told who won, when, and with what (409).
"""

from __future__ import annotations

from datetime import datetime

from governance.domain import Refusal

from .domain.loops import LoopState
from .transitions import MOVES


class NotNow(Refusal):
    """The act is allowed, but not in this state or at this time."""

    code = "not_now"


class AlreadyDecided(Refusal):
    """Somebody was first. `extra` says who, when and what."""

    code = "already_decided"


class Changed(Refusal):
    """What was shown is no longer what stands: look again, then decide."""

    code = "changed_since_shown"


class Expired(Refusal):
    """The recommendation has expired."""

    code = "expired"


class AnswerFirst(Refusal):
    """This proposal was drawn: say what you would do before you see it."""

    code = "answer_first"


class AnsweredAlready(Refusal):
    """This person has said what they would do."""

    code = "answered_already"


class HeldForSafety(Refusal):
    """A danger alert or a side effect nobody has looked at yet stands against this increase."""

    code = "held_for_safety"


class IdentifierTaken(Refusal):
    """This source identifier stands in another person's record: what was sent is not stored under it."""

    code = "identifier_taken"


class NobodyResponsible(Refusal):
    """After this, nobody would be responsible for the patient: the one who takes over is named first."""

    code = "nobody_responsible"


class LimitStops(Refusal):
    """A hard rule stops this change; the rules that spoke are in `extra`."""

    code = "limit_stops"


def check_can_enter(before: LoopState, after: LoopState) -> None:
    """Refuse a move that is not legal from where the loop stands."""
    if after not in MOVES[before]:
        raise NotNow(f"This recommendation is {before.value.replace('_', ' ')}.", state=before.value)


def check_seen(seen_version: int, version: int) -> None:
    """Refuse a decision on something that was shown in another state."""
    if seen_version != version:
        raise Changed("This recommendation has changed since you opened it.", seen=seen_version, version=version)


def check_not_expired(expires_at: datetime, now: datetime) -> None:
    """Refuse what comes after the end of the proposal."""
    if now >= expires_at:
        raise Expired("This recommendation has expired.", expires_at=expires_at.isoformat())
