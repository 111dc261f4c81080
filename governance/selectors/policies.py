"""Policies as they stand: what is in force, what is put forward, what was before, and what each changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..models import Motion, PolicyVersion
from ..policy_kinds import OF_THE_SITE, SITE, DiffRow, PolicyKind, diff
from ..quorum import QuorumAct
from . import InForce, policy_in_force
from .quorum import MotionState, state_of

ON_APPROVAL = "on_approval"
PATHWAY = "hypertension"


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """One policy: the version in force, those that begin later, and what is put forward."""

    kind: PolicyKind
    subject: str
    in_force: PolicyVersion | None
    later: tuple[PolicyVersion, ...]
    proposed: MotionState | None

    @property
    def ref(self) -> str:
        """How a page names it."""
        return f"{self.kind.value}:{self.subject}"


def subject_of(kind: PolicyKind, subject: str, *, stops: bool = False) -> str:
    """How a motion names a policy. What stops a pathway waits for nothing that is put forward beside it."""
    return f"policy:{kind.value}:{subject}{':stop' if stops else ''}"


def newest_version(kind: str, subject: str) -> PolicyVersion | None:
    """The newest version, whether or not its date has come."""
    return PolicyVersion.objects.filter(kind=kind, subject=subject).order_by("-version").first()


def policy_content(
    kind: PolicyKind, subject: str, *, body: Mapping[str, Any], starts: datetime | None
) -> dict[str, Any]:
    """What is put forward as it stands now: the next version, what it follows, and the rows it changes."""
    newest = newest_version(kind, subject)
    old = json.loads(newest.body) if newest else None
    return {
        "kind": kind.value,
        "subject": subject,
        "version": newest.version + 1 if newest else 1,
        "replaces": newest.digest if newest else None,
        "body": dict(body),
        "changes": [
            {"row": row.words, "old": row.old, "new": row.new} for row in _diff(kind, old, body) if row.changed
        ],
        "effective_from": starts.astimezone(UTC).isoformat() if starts else ON_APPROVAL,
    }


def effective_from_of(content: Mapping[str, Any]) -> datetime | None:
    """The later moment a policy was put forward for; None: from its last approval on."""
    said = str(content["effective_from"])
    return None if said == ON_APPROVAL else datetime.fromisoformat(said)


def _diff(kind: PolicyKind, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> tuple[DiffRow, ...]:
    known = old if old is None or kind is PolicyKind.OPERATING_MODE or "choices" in old else None
    return diff(kind, known, new)


def difference(motion: Motion) -> tuple[DiffRow, ...]:
    """Every row of a policy that was put forward, beside the version it was put beside."""
    content = motion.content
    kind = PolicyKind(content["kind"])
    before = PolicyVersion.objects.filter(
        kind=kind.value, subject=content["subject"], version=content["version"] - 1
    ).first()
    return _diff(kind, json.loads(before.body) if before else None, content["body"])


def changed_by(version: PolicyVersion) -> tuple[DiffRow, ...]:
    """Every row of a version, beside the one before it."""
    before = PolicyVersion.objects.filter(
        kind=version.kind, subject=version.subject, version=version.version - 1
    ).first()
    return _diff(PolicyKind(version.kind), json.loads(before.body) if before else None, json.loads(version.body))


def content_now(motion: Motion) -> dict[str, Any]:
    """What a motion about a policy would put forward now: another version since makes it another content."""
    content = motion.content
    return policy_content(
        PolicyKind(content["kind"]), content["subject"], body=content["body"], starts=effective_from_of(content)
    )


def motion_state(motion: Motion, *, now: datetime) -> MotionState:
    """How a motion about a policy stands."""
    return state_of(motion, content=None if motion.ended else content_now(motion), now=now)


def policy_line(kind: PolicyKind, subject: str, *, now: datetime) -> PolicyLine:
    """One policy as it stands at `now`."""
    versions = PolicyVersion.objects.filter(kind=kind.value, subject=subject).select_related("author", "motion")
    waiting = Motion.objects.filter(subject=subject_of(kind, subject), ended="").select_related("author").first()
    return PolicyLine(
        kind=kind,
        subject=subject,
        in_force=versions.filter(effective_from__lte=now).order_by("-version").first(),
        later=tuple(versions.filter(effective_from__gt=now).order_by("version")),
        proposed=motion_state(waiting, now=now) if waiting else None,
    )


def all_policies(*, now: datetime) -> tuple[PolicyLine, ...]:
    """Every kind, for the site or the pathway, whether or not anything was ever set."""
    return tuple(policy_line(kind, SITE if kind in OF_THE_SITE else PATHWAY, now=now) for kind in PolicyKind)


def history(kind: PolicyKind, subject: str) -> tuple[PolicyVersion, ...]:
    """Every version of a policy, newest first."""
    rows = PolicyVersion.objects.filter(kind=kind.value, subject=subject).select_related("author", "motion")
    return tuple(rows.order_by("-version"))


def motions_of(kind: PolicyKind, subject: str) -> tuple[Motion, ...]:
    """Everything that was put forward about a policy, newest first."""
    rows = Motion.objects.filter(
        act=QuorumAct.POLICY.value, subject__in=[subject_of(kind, subject), subject_of(kind, subject, stops=True)]
    )
    return tuple(rows.select_related("author", "ended_by").order_by("-asked_at", "-pk"))


def in_force(pathway: str, *, now: datetime) -> tuple[tuple[PolicyKind, InForce], ...]:
    """Every policy in force over a pathway, those of the whole site among them."""
    found = []
    for kind in PolicyKind:
        policy = policy_in_force(kind.value, SITE if kind in OF_THE_SITE else pathway, now=now)
        if policy is not None:
            found.append((kind, policy))
    return tuple(found)
