"""Registered predictors, their approvals, and labelled examples pushed by the loops.

Rules
 * An approval and a release are signed, over the digest of what runs and of its card (21 CFR 11.50, 11.70).
 * One active version per pathway; an active one has two approvals by people other than who registered it (N7): the
   unique constraints below and the trigger of migration 0002 hold it in the database.
 * An example is frozen as it arrives and never edited.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from governance.models import Signature, User


class ModelVersion(models.Model):
    """One version of one predictor. `digest` is SHA-256 of what runs; `card` is canonical JSON."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    version = models.CharField(max_length=40)
    pathway = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)
    card = models.TextField()
    registered_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()
    active = models.BooleanField(default=False)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="model_version_once", fields=["name", "version"]),
            models.UniqueConstraint(name="model_one_active_per_pathway", fields=["pathway"], condition=Q(active=True)),
        ]


class ModelApproval(models.Model):
    """One person's approval of one version, bound to its digest."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="approvals")
    registered_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    approver = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    approved_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+", null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="model_approval_once", fields=["model_version", "approver"]),
            models.CheckConstraint(name="model_approver_not_author", condition=~Q(approver=F("registered_by"))),
        ]


class ModelRelease(models.Model):
    """A version was put to work, by whom, signed: each time it begins to serve."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="releases")
    released_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    released_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()


class ResearchWord(models.Model):
    """What a person said about research after their examples arrived; the newest word holds."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.CharField(max_length=64, db_index=True)  # opaque
    given = models.BooleanField()
    at = models.DateTimeField()
    entry = models.UUIDField()


class Example(models.Model):
    """A labelled example: the frozen evidence of a closed loop, what was decided, what came of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pathway = models.CharField(max_length=40)
    subject = models.CharField(max_length=64)  # opaque
    loop_ref = models.UUIDField(unique=True)
    evidence_digest = models.CharField(max_length=64)
    label = models.CharField(max_length=20)
    body = models.TextField()
    research_consent = models.BooleanField()
    arrived_at = models.DateTimeField()
    entry = models.UUIDField()
