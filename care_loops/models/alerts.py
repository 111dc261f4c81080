"""Alerts raised by rule, and what people did about them.

An alert with `locks` set is a danger lock: it stops AI intensification and every patient-facing change until a
clinician's disposition ends it, never time alone. `AlertEvent` is the history and only grows; the columns of `Alert`
that move are its head.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.models import User

from .people import Patient


class Alert(models.Model):
    """One alert about one patient. Repeats of the same kind while it is open coalesce into it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="alerts")
    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=10)
    pages = models.BooleanField()
    locks = models.BooleanField()
    bars = ArrayField(models.CharField(max_length=30), default=list)
    same_day = models.BooleanField()
    unverified = models.BooleanField()
    asks = ArrayField(models.CharField(max_length=40), default=list)
    rules = ArrayField(models.CharField(max_length=40), default=list)
    measured_at = models.DateTimeField()
    received_at = models.DateTimeField()
    raised_at = models.DateTimeField()
    occurrences = models.PositiveIntegerField(default=1)
    level = models.PositiveSmallIntegerField(default=0)
    escalates_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)
    disposed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    disposed_at = models.DateTimeField(null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="alert_one_open_of_a_kind", fields=["patient", "kind"], condition=Q(disposed_at__isnull=True)
            ),
            models.CheckConstraint(
                name="alert_disposed_by_someone",
                condition=Q(disposed_at__isnull=True, disposed_by__isnull=True)
                | Q(disposed_at__isnull=False, disposed_by__isnull=False),
            ),
            models.CheckConstraint(
                name="alert_acknowledged_by_someone",
                condition=Q(acknowledged_at__isnull=True, acknowledged_by__isnull=True)
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["disposed_at", "escalates_at"])]


class AlertEvent(models.Model):
    """What happened to an alert: raised, coalesced, escalated, acknowledged, disposed."""

    KINDS = ("raised", "coalesced", "upgraded", "escalated", "acknowledged", "disposed")

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=20, choices=[(k, k) for k in KINDS])
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=120)
    evidence = models.CharField(max_length=120, blank=True)
    code = models.CharField(max_length=60, blank=True)
    text = models.TextField(blank=True)
    entry = models.UUIDField()
