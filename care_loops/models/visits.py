"""When patient and clinician next meet, what became of it, and what the patient was reminded of."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from governance.models import User

from .people import Patient


class VisitPlan(models.Model):
    """The next visit as the rule or a clinician set it. The newest row holds; an override outlives the rule."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="visit_plans")
    due_on = models.DateField()
    rule = models.CharField(max_length=60)
    overridden_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    planned_at = models.DateTimeField()
    entry = models.UUIDField()


class Visit(models.Model):
    """What became of a visit: held, not held, or cancelled; of each plan once. The last visit is the last one held.

    `diet`, `activity`, `sleep`, `stress`: what was talked of (HTN-07); empty means that it was not.
    """

    HELD, NOT_HELD, CANCELLED = "held", "not_held", "cancelled"
    OUTCOMES = (HELD, NOT_HELD, CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="visits")
    plan = models.OneToOneField(VisitPlan, null=True, on_delete=models.PROTECT, related_name="visit")
    outcome = models.CharField(max_length=10, choices=[(o, o) for o in OUTCOMES])
    on_day = models.DateField()
    diet = models.TextField(blank=True)
    activity = models.TextField(blank=True)
    sleep = models.TextField(blank=True)
    stress = models.TextField(blank=True)
    note = models.TextField(blank=True)
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="visit_not_held_was_planned", condition=Q(outcome="held") | Q(plan__isnull=False)
            ),
            models.UniqueConstraint(
                name="visit_held_once_a_day", fields=["patient", "on_day"], condition=Q(outcome="held")
            ),
        ]


class Reminder(models.Model):
    """What the patient was reminded of, once: a visit to come, or days to measure. `about` names which one."""

    VISIT, MEASURE = "visit", "measure"
    KINDS = (VISIT, MEASURE)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="reminders")
    kind = models.CharField(max_length=10, choices=[(k, k) for k in KINDS])
    about = models.CharField(max_length=60)
    due_on = models.DateField()
    sent_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(name="reminder_once", fields=["patient", "kind", "about"])]
