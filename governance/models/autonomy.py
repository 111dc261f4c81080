"""How far each model has come: gates, who signed them, each step up and down, and what monitors measured.

Rules (PEERS 4 leap 7)
 * Rows are only added. The level of (model, cohort, action) is that of its last step; without one it observes.
 * A step up names a gate over exactly this cell that two people with different roles signed. A step down names a rule.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from ..autonomy import Level
from .accounts import User
from .signing import Signature

_LEVELS = [(level.value, level.value) for level in Level]


class AutonomyGate(models.Model):
    """Evidence put forward for a level: one model by its digest, cohorts, actions, and what was measured."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model_name = models.CharField(max_length=80)
    model_version = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)
    kind = models.CharField(max_length=20)
    cohorts = ArrayField(models.CharField(max_length=60))
    actions = ArrayField(models.CharField(max_length=20))
    level = models.CharField(max_length=20, choices=_LEVELS)
    evidence = models.TextField()
    rules = models.CharField(max_length=40)
    asked_at = models.DateTimeField()
    entry = models.UUIDField()
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")


class GateSignature(models.Model):
    """One person's signature under a gate."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    gate = models.ForeignKey(AutonomyGate, on_delete=models.PROTECT, related_name="signatures")
    signer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=40)
    signed_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="gate_signed_once", fields=["gate", "signer"]),
            models.UniqueConstraint(name="gate_role_once", fields=["gate", "role"]),
        ]


class AutonomyStep(models.Model):
    """A level was raised by a gate, or lowered by a rule."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64)
    cohort = models.CharField(max_length=60)
    action = models.CharField(max_length=20)
    seq = models.PositiveIntegerField()
    before = models.CharField(max_length=20, choices=_LEVELS)
    level = models.CharField(max_length=20, choices=_LEVELS)
    gate = models.ForeignKey(AutonomyGate, null=True, on_delete=models.PROTECT, related_name="steps")
    rule = models.CharField(max_length=120, blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="autonomy_step_once", fields=["digest", "cohort", "action", "seq"]),
            models.UniqueConstraint(
                name="autonomy_gate_once", fields=["gate", "cohort", "action"], condition=Q(gate__isnull=False)
            ),
            models.CheckConstraint(
                name="autonomy_step_says_why",
                condition=Q(gate__isnull=False, rule="") | Q(gate__isnull=True) & ~Q(rule=""),
            ),
        ]


class ModelMeasurement(models.Model):
    """What a monitor measured of a model in one cohort: drift, calibration error. The newest counts, for a while."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64)
    cohort = models.CharField(max_length=60)
    fact = models.CharField(max_length=30, choices=[(f, f) for f in ("drift", "calibration_error")])
    value = models.DecimalField(max_digits=9, decimal_places=6)
    measured_at = models.DateTimeField()
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(name="measurement_newest", fields=["digest", "cohort", "fact", "-measured_at"])]
