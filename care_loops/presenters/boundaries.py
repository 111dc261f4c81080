"""A boundary that is put forward, in words: what it lets happen, who approved, who still may."""

from __future__ import annotations

from dataclasses import dataclass

from governance.models import User
from governance.presenters.policies import STATUS, seat_words
from governance.quorum import MotionStatus
from governance.selectors.quorum import MotionState
from governance.services.signed_rows import ON_SIGNING

from ..models import Patient
from . import times, words
from .signing import Content, Lines, boundary_in_words


@dataclass(frozen=True, slots=True)
class WaitingShown:
    """One boundary put forward, as one viewer sees it."""

    status: str
    chip: str
    author: str
    asked: str
    expires: str
    reason: str
    above: str
    lines: tuple[tuple[str, str], ...]
    approvals: tuple[tuple[str, str, str], ...]
    missing: tuple[str, ...]
    may: tuple[tuple[str, str], ...]
    digest: str
    ended: str
    void: bool
    may_approve: bool
    may_sign: bool
    may_end: bool
    own: bool


def waiting_shown(state: MotionState, patient: Patient, *, viewer: User) -> WaitingShown:
    """The motion with what this viewer may do about it."""
    motion, content, zone = state.motion, state.motion.content, patient.zone
    own, standing = motion.author_id == viewer.pk, state.status
    may_approve = any(user.pk == viewer.pk for user, _ in state.may)
    status, chip = STATUS[standing]
    return WaitingShown(
        status=status,
        chip=chip,
        author=motion.author.printed_name,
        asked=times.clock(motion.asked_at, zone),
        expires=times.clock(motion.expires_at, zone),
        reason=motion.reason,
        above=" and ".join(content["above"]),
        lines=tuple(line for line in _limits(content, patient) if line[0] not in ("Patient", "Record")),
        approvals=tuple(
            (one.approver.printed_name, words.role(one.role), times.clock(one.approved_at, zone))
            for one in state.approvals
        ),
        missing=tuple(seat_words(seat) for seat in state.quorum.missing),
        may=tuple((user.printed_name, words.role(role.value)) for user, role in state.may),
        digest=motion.digest,
        ended=times.clock(motion.ended_at, zone) if motion.ended_at else "",
        void=standing is MotionStatus.VOID,
        may_approve=may_approve,
        may_sign=own and standing is MotionStatus.MET,
        may_end=not motion.ended and (own or may_approve),
        own=own,
    )


def put_in_words(content: Content, patient: Patient) -> Lines:
    """What is signed when a boundary is put forward or approved, in lines for its signer."""
    put = content.get("put", content)
    lines = [*_limits(put["content"], patient), ("Because", put["reason"])]
    if "role" in content:
        return [*lines, ("You approve as", words.role(content["role"]))]
    return [*lines, ("It means", "A pharmacist is asked to approve it; it holds once you have signed it after that")]


def _limits(content: Content, patient: Patient) -> Lines:
    """The boundary itself, for whoever reads or approves it: it begins with its prescriber's signature, not theirs."""
    boundary = dict(content["boundary"]) | {"patient": content["patient"], "version": content["version"]}
    later = boundary["starts_at"] == ON_SIGNING
    return [
        (name, "when its prescriber signs it" if name == "From" and later else said)
        for name, said in boundary_in_words(boundary, patient)
        if name != "It means"
    ]
