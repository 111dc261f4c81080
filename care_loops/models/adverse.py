"""Adverse events as records: what happened to whom, under which pathway and model. Rows are only added."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from governance.incidents import IncidentClass
from governance.models import User

from ..domain.adverse import AdverseKind
from .loops import Loop
from .people import Patient


class AdverseEvent(models.Model):
    """One event. Its words stand, sealed, in its entry. `incident` names the incident it belongs to, if any."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="adverse_events")
    loop = models.ForeignKey(Loop, null=True, on_delete=models.PROTECT, related_name="adverse_events")
    kind = models.CharField(max_length=40, choices=[(k.value, k.value) for k in AdverseKind])
    of = models.CharField(max_length=40, choices=[(c.value, c.value) for c in IncidentClass])
    pathway = models.CharField(max_length=40)
    model_name = models.CharField(max_length=80, blank=True)
    model_version = models.CharField(max_length=40, blank=True)
    site = models.CharField(max_length=255)
    onset_at = models.DateTimeField()
    known_at = models.DateTimeField()
    incident = models.UUIDField(null=True)
    reported_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reported_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="adverse_known_after_onset",
                condition=Q(known_at__gte=F("onset_at"), reported_at__gte=F("known_at")),
            ),
            models.CheckConstraint(name="adverse_kind_known", condition=Q(kind__in=[k.value for k in AdverseKind])),
        ]
