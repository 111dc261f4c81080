"""When several people have agreed: an AND across roles with counts, bound to the digest of what was approved.

Rules (GOV-04, N7; PEERS 0 item 4, leap 2; REGULATORY 11.10(g); ASVS 2.3.5)
 * Every seat of the rule is filled by another person, each under one role they hold now. Nobody approves their own, and
   nobody counts twice.
 * An approval is of one digest. What stands now under another digest, or another rule, makes the motion void; nothing
   given before counts for it.
 * A motion ends: carried out once, withdrawn, refused, void, or by time. Time never approves: it ends a motion.
 * What is missing, and who may give it, is said; the same check refuses and lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .domain import NotAllowed, Refusal, Role


class QuorumAct(StrEnum):
    """What needs several people."""

    POLICY = "policy"
    BOUNDARY = "boundary"
    MODEL = "model"
    KEY = "key"
    FINDING = "finding"


class MotionStatus(StrEnum):
    """How a motion stands."""

    OPEN = "open"
    MET = "met"
    EXPIRED = "expired"
    VOID = "void"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    CARRIED_OUT = "carried_out"


ENDINGS = frozenset({MotionStatus.VOID, MotionStatus.WITHDRAWN, MotionStatus.REFUSED, MotionStatus.CARRIED_OUT})


class MotionOver(Refusal):
    """The motion takes no approvals any more: it has ended, or has all it needs."""

    code = "motion_over"


class MotionExpired(Refusal):
    """Its time ran out before enough people approved. It is put forward anew, or left."""

    code = "motion_expired"


class MotionVoid(Refusal):
    """What was put forward is no longer what stands: its approvals count for nothing."""

    code = "motion_void"


class ApprovedAlready(Refusal):
    """This person has approved it."""

    code = "approved_already"


class QuorumMissing(Refusal):
    """Not enough people have approved; `extra` says who is missing."""

    code = "quorum_missing"


@dataclass(frozen=True, slots=True)
class Seat:
    """How many people, each of whom holds one of these roles."""

    roles: frozenset[Role]
    count: int


@dataclass(frozen=True, slots=True)
class QuorumRule:
    """Who must approve one kind of act, and for how long an approval may be waited for."""

    rule_id: str
    act: QuorumAct
    of: str  # which of the acts: a kind of policy; "" for all
    seats: tuple[Seat, ...]
    lives: timedelta

    @property
    def asks(self) -> tuple[tuple[Seat, ...], timedelta]:
        """What makes it another rule when it changes."""
        return self.seats, self.lives


@dataclass(frozen=True, slots=True)
class Put:
    """A motion as it was put: by whom, over what, under which rule, until when; and how it ended, if it did."""

    author: str
    digest: str
    rule: QuorumRule
    expires_at: datetime
    ended: MotionStatus | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """One person's approval: of which digest, under which role."""

    approver: str
    role: Role
    digest: str


@dataclass(frozen=True, slots=True)
class Now:
    """What the motion is held against: the digest and the rule as they stand, who holds which role, the time."""

    digest: str
    rule: QuorumRule
    held: Mapping[str, frozenset[Role]]
    at: datetime


@dataclass(frozen=True, slots=True)
class QuorumState:
    """How a motion stands, which approvals count, and what is missing: seats with the number of people still needed."""

    status: MotionStatus
    counted: tuple[Given, ...]
    missing: tuple[Seat, ...]

    @property
    def met(self) -> bool:
        """Whether it may be carried out now."""
        return self.status is MotionStatus.MET


def standing(put: Put, given: Sequence[Given], *, now: Now) -> QuorumState:
    """How the motion stands, held against what is so now."""
    counted = _counted(put, given, now.held)
    missing = missing_seats(put.rule, (each.role for each in counted))
    return QuorumState(_status(put, missing, now), counted, missing)


def missing_seats(rule: QuorumRule, roles: Iterable[Role]) -> tuple[Seat, ...]:
    """The seats that approvals under these roles, each by another person, leave open."""
    under = tuple(roles)
    left = []
    for seat in rule.seats:
        still = seat.count - sum(role in seat.roles for role in under)
        if still > 0:
            left.append(Seat(seat.roles, still))
    return tuple(left)


def check_may_approve(put: Put, given: Sequence[Given], *, who: str, wanted: Role | None = None, now: Now) -> Role:
    """The role under which `who` approves: the `wanted` one, or the first that is missing. Refuses by name."""
    state = standing(put, given, now=now)
    if state.status is MotionStatus.VOID and put.ended is None:
        raise MotionVoid("What was put forward is no longer what stands. Put it forward anew.")
    if state.status is MotionStatus.EXPIRED:
        raise MotionExpired("Its time has run out. Put it forward anew.", expires_at=put.expires_at.isoformat())
    if state.status is not MotionStatus.OPEN:
        raise MotionOver(f"It is {state.status.value.replace('_', ' ')} already.", state=state.status.value)
    if who == put.author:
        raise NotAllowed("Nobody approves what they put forward themself.", missing="second_person")
    if any(each.approver == who for each in given):
        raise ApprovedAlready("You have approved this.")
    for role in sorted(now.held.get(who, frozenset())):
        if wanted in (None, role) and any(role in seat.roles for seat in state.missing):
            return role
    needed = sorted({role.value for seat in state.missing for role in seat.roles})
    raise NotAllowed("None of your roles is missing here.", missing="role", roles=needed)


def may_approve(put: Put, given: Sequence[Given], *, now: Now) -> tuple[tuple[str, Role], ...]:
    """Everybody who may approve it now, by person, with the role that would count."""
    found = []
    for who in sorted(now.held):
        try:
            found.append((who, check_may_approve(put, given, who=who, now=now)))
        except Refusal:
            continue
    return tuple(found)


def _counted(put: Put, given: Sequence[Given], held: Mapping[str, frozenset[Role]]) -> tuple[Given, ...]:
    """Of each person other than the author the first approval of this digest, under a role that they still hold."""
    first: dict[str, Given] = {}
    for each in given:
        if each.digest == put.digest and each.approver != put.author and each.role in held.get(each.approver, ()):
            first.setdefault(each.approver, each)
    return tuple(first.values())


def _status(put: Put, missing: tuple[Seat, ...], now: Now) -> MotionStatus:
    if put.ended is not None:
        return put.ended
    if now.digest != put.digest or now.rule.asks != put.rule.asks:
        return MotionStatus.VOID
    if now.at >= put.expires_at:
        return MotionStatus.EXPIRED
    return MotionStatus.OPEN if missing else MotionStatus.MET
