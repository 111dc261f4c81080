"""When patient and clinician next meet."""

from __future__ import annotations

from django.db import models

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
