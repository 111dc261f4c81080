"""Policies come into force by a quorum: put forward by one, approved by others, then a new version; the old one stays.

Rules (GOV-04, DBT-07; decision 74)
 * Only who holds SET_POLICY puts one forward, signed, over its whole body and the rows that it changes.
 * It is in force from the moment the last person who is needed has approved it, or from a later one that was named. It
   never starts in the past. Where it was put forward beside an older version than the newest, it is void.
 * To stop a pathway, or to switch it off, needs nobody else: less is done at once. To start it again needs the quorum.
 * No version comes by another way: the trigger of migration 0011 asks for the motion and counts its approvals.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from audit import canonical
from audit.domain import Event, ObjectRef, Purpose
from audit.services import append

from ..domain import BadInput, Permission, Relation, Role
from ..models import Motion, PolicyVersion
from ..permissions import check
from ..policy_kinds import STOPPING, act_of, check_policy
from ..quorum import MotionStatus, QuorumAct
from ..selectors.policies import effective_from_of, motion_state, newest_version, policy_content, subject_of
from ..selectors.quorum import motion as motion_named
from ..selectors.quorum import open_motions, state_of
from . import quorum
from .acting import Acting


@dataclass(frozen=True, slots=True)
class Proposed:
    """What was put forward, and the version that came of it at once where nobody else is needed."""

    motion: Motion
    version: PolicyVersion | None


def propose_policy(
    kind: str,
    subject: str,
    *,
    body: Mapping[str, Any],
    reason: str,
    effective_from: datetime | None = None,
    by: Acting,
    now: datetime,
) -> Proposed:
    """Put a policy forward, to hold from its last approval on, or from a later moment.

    Refuses what is no such policy, and a moment before `now`; raises `MotionOpen`, `SignatureNeeded`.
    """
    acted = by.under(check(Permission.SET_POLICY, by.standing, frozenset({Relation.SITE})))
    known = check_policy(kind, subject, body)
    if effective_from is not None and effective_from < now:
        raise BadInput("A policy cannot start in the past.", field="effective_from")
    starts = effective_from if effective_from is not None and effective_from > now else None
    content = policy_content(known, subject, body=body, starts=starts)
    of = act_of(known, body)
    named = subject_of(known, subject, stops=of == STOPPING)
    with transaction.atomic():
        _make_room(named, by=acted, now=now)
        motion = quorum.propose(
            QuorumAct.POLICY,
            subject=named,
            of=of,
            content=content,
            reason=reason,
            by=acted,
            now=now,
        )
        return Proposed(motion, _in_force_when_met(motion, by=acted, now=now))


def approve_policy(
    motion_id: uuid.UUID, *, role: Role | None = None, by: Acting, now: datetime
) -> PolicyVersion | None:
    """Approve a policy. With the last approval that was missing the version is made and returned; else None."""
    with transaction.atomic():
        motion = motion_named(motion_id)
        quorum.approve(motion_id, role=role, content=_as_it_stands(motion), by=by, now=now)
        return _in_force_when_met(motion, by=by, now=now)


def _make_room(named: str, *, by: Acting, now: datetime) -> None:
    """What was put forward beside a version that is no longer the newest can come to nothing any more."""
    for waiting in open_motions().filter(subject=named):
        if motion_state(waiting, now=now).status is MotionStatus.VOID:
            quorum.void(waiting.pk, reason="another version came into force", by=by, now=now)


def _as_it_stands(motion: Motion) -> dict[str, Any]:
    """The content that would be put forward now, beside the newest version there is."""
    if motion.act != QuorumAct.POLICY:
        raise BadInput("This motion is about no policy.", field="motion")
    content = motion.content
    kind, subject = check_policy(content["kind"], content["subject"], content["body"]), content["subject"]
    return policy_content(kind, subject, body=content["body"], starts=effective_from_of(content))


def _in_force_when_met(motion: Motion, *, by: Acting, now: datetime) -> PolicyVersion | None:
    content = _as_it_stands(motion)
    state = state_of(motion, content=content, now=now)
    if not state.quorum.met:
        return None
    kind, subject, starts = content["kind"], content["subject"], effective_from_of(content)
    newest = newest_version(kind, subject)
    encoded = canonical.dumps(content["body"])
    thing = ObjectRef(type="policy", id=f"{kind}:{subject}", version=content["version"])
    said = {
        "body": content["body"],
        "reason": motion.reason,
        "motion": str(motion.pk),
        "approved_by": [{"person": each.approver, "role": each.role.value} for each in state.quorum.counted],
        "supersedes": newest.version if newest else None,
    }
    quorum.carry_out(motion.pk, content=content, by=by, now=now)
    event = Event(
        type="policy.activated",
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=thing,
        purpose=Purpose.OPERATIONS,
        payload=said,
    )
    return PolicyVersion.objects.create(
        kind=kind,
        subject=subject,
        version=content["version"],
        body=encoded.decode(),
        digest=hashlib.sha256(encoded).hexdigest(),
        author_id=motion.author_id,
        reason=motion.reason,
        effective_from=max(starts, now) if starts else now,
        signature_id=motion.signature_id,
        motion=motion,
        entry=append(event).entry_id,
    )
