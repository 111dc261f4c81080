"""What a clinician signed for a patient: target, alert limits, and the boundary of what may go direct."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from governance.models import Signature, User

from .people import Patient


class Target(models.Model):
    """Home pressure to stay under, in mmHg. The newest one holds; there is no default (CLINICAL 1.4)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="targets")
    systolic_below = models.DecimalField(max_digits=5, decimal_places=1)
    diastolic_below = models.DecimalField(max_digits=5, decimal_places=1)
    signed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="target_systolic_above_diastolic",
                condition=models.Q(systolic_below__gt=models.F("diastolic_below")),
            ),
        ]


class AlertLimits(models.Model):
    """Where this patient's alerts speak earlier than the site's (HTN-06). A new version supersedes; none is edited.

    Pressures in mmHg, heart rates per minute; a limit that is null is the site's own.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="alert_limits")
    version = models.PositiveIntegerField()
    crisis_systolic = models.DecimalField(max_digits=5, decimal_places=1, null=True)
    crisis_diastolic = models.DecimalField(max_digits=5, decimal_places=1, null=True)
    low_systolic = models.DecimalField(max_digits=5, decimal_places=1, null=True)
    low_diastolic = models.DecimalField(max_digits=5, decimal_places=1, null=True)
    slow_pulse = models.DecimalField(max_digits=5, decimal_places=1, null=True)
    fast_pulse = models.DecimalField(max_digits=5, decimal_places=1, null=True)
    signed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="alert_limits_version_once", fields=["patient", "version"]),
            models.CheckConstraint(
                name="alert_limits_low_under_high",
                condition=models.Q(low_systolic__lt=models.F("crisis_systolic"))
                & models.Q(low_diastolic__lt=models.F("crisis_diastolic"))
                & models.Q(slow_pulse__lt=models.F("fast_pulse")),
            ),
        ]


class Boundary(models.Model):
    """A signed titration order (CLINICAL 1.9 row 1). A new version supersedes; none is edited."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="boundaries")
    version = models.PositiveIntegerField()
    max_steps = models.PositiveSmallIntegerField()
    min_interval_days = models.PositiveSmallIntegerField()
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    review_everything = models.BooleanField()
    target = models.ForeignKey(Target, null=True, on_delete=models.PROTECT, related_name="+")
    signed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="boundary_version_once", fields=["patient", "version"]),
            models.CheckConstraint(
                name="boundary_ends_after_start", condition=models.Q(expires_at__gt=models.F("starts_at"))
            ),
            models.CheckConstraint(
                name="boundary_not_backdated", condition=models.Q(starts_at__gte=models.F("signed_at"))
            ),
        ]


class BoundaryDrug(models.Model):
    """One drug the boundary covers, up to a total daily dose."""

    boundary = models.ForeignKey(Boundary, on_delete=models.PROTECT, related_name="drugs")
    ingredient = models.CharField(max_length=20)
    name = models.CharField(max_length=120)
    max_daily_dose_mg = models.DecimalField(max_digits=9, decimal_places=3)
    allow_up = models.BooleanField()
    products = ArrayField(models.CharField(max_length=20), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="boundary_drug_once", fields=["boundary", "ingredient"]),
        ]
