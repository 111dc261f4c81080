"""Policies in words: what is in force, what is put forward, who has approved and who may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..models import Motion, PolicyVersion, User
from ..policy_kinds import DiffRow, PolicyKind
from ..quorum import MotionStatus, Seat
from ..selectors.policies import PolicyLine, changed_by, difference
from ..selectors.quorum import MotionState
from .record import stamp

KINDS: dict[PolicyKind, tuple[str, str]] = {
    PolicyKind.OPERATING_MODE: ("Operating mode", "How the pathway is run, and whether small changes may go direct."),
    PolicyKind.TIER_POLICY: (
        "Who must act",
        "Whether a change goes to the patient or to a clinician.",
    ),
    PolicyKind.GUARDRAIL_TABLES: ("Guardrails", "How far and how often a dose may rise."),
    PolicyKind.TARGETS: ("Targets", "Which home pressures may be signed as a target."),
    PolicyKind.APPROVAL_THRESHOLDS: ("Approval thresholds", "From when a boundary needs a pharmacist too."),
    PolicyKind.QUORUM_RULES: ("Who must approve", "How many people, and which, approve what."),
    PolicyKind.GATE_THRESHOLDS: ("Gates", "What a predictor must have before it is put to work."),
}
STATUS: dict[MotionStatus, tuple[str, str]] = {
    MotionStatus.OPEN: ("waits for approval", "decide"),
    MotionStatus.MET: ("has its approvals", "good"),
    MotionStatus.EXPIRED: ("ran out of time", "urgent"),
    MotionStatus.VOID: ("void: what stands has changed", "urgent"),
    MotionStatus.WITHDRAWN: ("withdrawn", ""),
    MotionStatus.REFUSED: ("refused", "urgent"),
    MotionStatus.CARRIED_OUT: ("came into force", "good"),
}


@dataclass(frozen=True, slots=True)
class LineShown:
    """One kind on the list: what is in force, and what waits."""

    kind: str
    title: str
    lead: str
    version: str
    since: str
    later: str
    waiting: str
    chip: str
    motion_id: UUID | None


@dataclass(frozen=True, slots=True)
class VersionShown:
    """One version of a policy and what it changed."""

    number: int
    since: str
    author: str
    reason: str
    in_force: bool
    rows: tuple[DiffRow, ...]
    motion_id: UUID | None


@dataclass(frozen=True, slots=True)
class MotionShown:
    """One thing put forward: its rows, its approvals, what is missing and who may give it."""

    id: UUID
    kind: str
    title: str
    number: int
    status: str
    chip: str
    author: str
    asked: str
    expires: str
    starts: str
    reason: str
    rows: tuple[DiffRow, ...]
    unchanged: tuple[DiffRow, ...]
    approvals: tuple[tuple[str, str, str], ...]
    missing: tuple[str, ...]
    may: tuple[tuple[str, str], ...]
    digest: str
    ended: str
    open: bool
    as_roles: tuple[tuple[str, str], ...]
    own: bool
    asked_to: bool


def role_words(role: str) -> str:
    """A role in words."""
    return role.replace("_", " ")


def line_shown(line: PolicyLine) -> LineShown:
    """One policy on the list."""
    title, lead = KINDS[line.kind]
    proposed = line.proposed
    words, chip = STATUS[proposed.status] if proposed else ("", "")
    return LineShown(
        kind=line.kind.value,
        title=title,
        lead=lead,
        version=f"version {line.in_force.version}" if line.in_force else "as shipped, nothing set",
        since=stamp(line.in_force.effective_from) if line.in_force else "",
        later=", ".join(f"version {row.version} from {stamp(row.effective_from)}" for row in line.later),
        waiting=words,
        chip=chip,
        motion_id=proposed.motion.pk if proposed else None,
    )


def version_shown(row: PolicyVersion, *, in_force: PolicyVersion | None) -> VersionShown:
    """One version with the rows it changed."""
    return VersionShown(
        number=row.version,
        since=stamp(row.effective_from),
        author=row.author.printed_name if row.author else "",
        reason=row.reason,
        in_force=in_force is not None and row.pk == in_force.pk,
        rows=tuple(each for each in changed_by(row) if each.changed),
        motion_id=row.motion_id,
    )


def motion_shown(state: MotionState, *, viewer: User) -> MotionShown:
    """One thing put forward, as `viewer` sees it."""
    motion, content = state.motion, state.motion.content
    kind = PolicyKind(content["kind"])
    words, chip = STATUS[state.status]
    rows = difference(motion)
    own = motion.author_id == viewer.pk
    mine = tuple((role.value, role_words(role.value)) for user, role in state.may if user.pk == viewer.pk)
    return MotionShown(
        id=motion.pk,
        kind=kind.value,
        title=KINDS[kind][0],
        number=content["version"],
        status=words,
        chip=chip,
        author=motion.author.printed_name,
        asked=stamp(motion.asked_at),
        expires=stamp(motion.expires_at),
        starts=_starts(content),
        reason=motion.reason,
        rows=tuple(row for row in rows if row.changed),
        unchanged=tuple(row for row in rows if not row.changed),
        approvals=tuple(
            (each.approver.printed_name, role_words(each.role), stamp(each.approved_at)) for each in state.approvals
        ),
        missing=tuple(seat_words(seat) for seat in state.quorum.missing),
        may=tuple((user.printed_name, role_words(role.value)) for user, role in state.may),
        digest=motion.digest,
        ended=_ended(motion),
        open=not motion.ended,
        as_roles=mine,
        own=own,
        asked_to=bool(mine),
    )


def seat_words(seat: Seat) -> str:
    """A seat in words: how many, of which roles."""
    roles = " or ".join(role_words(role) for role in sorted(seat.roles))
    return f"{'one' if seat.count == 1 else seat.count} {roles}"


def title_of(kind: PolicyKind) -> tuple[str, str]:
    """A kind in words, and what it is."""
    return KINDS[kind]


def asked_words(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is signed when a policy is put forward or approved, in lines for its signer."""
    put = content.get("put", content)
    policy = put["content"]
    lines = [("Policy", f"{KINDS[PolicyKind(policy['kind'])][0]}, version {policy['version']}")]
    lines += [(each["row"], f"{each['old']} → {each['new']}") for each in policy["changes"]]
    lines.append(("Holds", _starts(policy)))
    lines.append(("Because", put["reason"]))
    if "role" in content:
        lines.append(("You approve as", role_words(content["role"])))
    return lines


def _starts(content: Mapping[str, Any]) -> str:
    said = str(content["effective_from"])
    return "from its last approval on" if said == "on_approval" else f"from {stamp(datetime.fromisoformat(said))}"


def _ended(motion: Motion) -> str:
    if not motion.ended or motion.ended_at is None:
        return ""
    who = motion.ended_by.printed_name if motion.ended_by else "the clock"
    return f"{stamp(motion.ended_at)}, {who}{': ' + motion.ended_reason if motion.ended_reason else ''}"
