"""What was put forward for several people to approve, and who did.

Rules (GOV-04, N7; decision 73)
 * A motion is evidence of what was put: its words never change, its digest is theirs. It ends once, by an entry.
 * An approval only comes: one for a person and a digest, never the author's own, signed, under a role held at the time.
   The triggers of migration 0010 hold all of it, and that nothing is carried out without its quorum.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q

from ..quorum import ENDINGS, MotionStatus, QuorumAct
from .accounts import User
from .signing import Signature

ENDED = sorted(status.value for status in {*ENDINGS, MotionStatus.EXPIRED})


class Motion(models.Model):
    """One thing put forward. `said`, canonical JSON: act, subject, author, reason, content, rule; `digest` is of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    act = models.CharField(max_length=20, choices=[(act.value, act.value) for act in QuorumAct])
    of = models.CharField(max_length=60, blank=True)
    subject = models.CharField(max_length=160)
    said = models.TextField()
    digest = models.CharField(max_length=64)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended = models.CharField(max_length=20, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    ended_reason = models.CharField(max_length=500, blank=True)
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="motion_one_open", fields=["subject"], condition=Q(ended="")),
            models.CheckConstraint(
                name="motion_act_known", condition=Q(act__in=sorted(act.value for act in QuorumAct))
            ),
            models.CheckConstraint(
                name="motion_end_whole",
                condition=Q(ended="", ended_at__isnull=True) | Q(ended__in=ENDED, ended_at__isnull=False),
            ),
        ]
        indexes = [models.Index(name="motion_newest", fields=["subject", "-asked_at"])]

    @property
    def document(self) -> dict[str, Any]:
        """Everything that was put, as it was signed."""
        found: dict[str, Any] = json.loads(self.said)
        return found

    @property
    def content(self) -> dict[str, Any]:
        """What is to be approved."""
        found: dict[str, Any] = self.document["content"]
        return found

    @property
    def reason(self) -> str:
        """Why it was put forward."""
        return str(self.document["reason"])


class Approval(models.Model):
    """One person's approval of one digest, under one role."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    motion = models.ForeignKey(Motion, on_delete=models.PROTECT, related_name="approvals")
    subject = models.CharField(max_length=160)
    digest = models.CharField(max_length=64)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    approver = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=40)
    approved_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="approval_once", fields=["subject", "digest", "approver"]),
            models.CheckConstraint(name="approval_by_another", condition=~Q(approver=F("author"))),
        ]
