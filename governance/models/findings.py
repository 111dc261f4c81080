"""Findings and incidents: what was found, each time it recurred, each step on its way. Rows are only added.

Rules (REGULATORY 2.3 Art. 9, 72, 73)
 * A finding and an incident stand where their last event says; their gravity is that of their gravest occurrence.
 * Who closes a finding does not own it and did not record its action (trigger of the migration, and the service).
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from ..findings import SUBJECTS, FindingState, Severity
from ..incidents import IncidentClass, IncidentState
from .accounts import User
from .signing import Signature


class Finding(models.Model):
    """Something is not as it should be: which cause, about what."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cause = models.CharField(max_length=60)
    subject = models.CharField(max_length=20, choices=[(s, s) for s in SUBJECTS])
    name = models.CharField(max_length=160, blank=True)
    title = models.CharField(max_length=200)
    raised_at = models.DateTimeField()
    raised_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(name="finding_cluster", fields=["cause", "subject", "name"])]
        constraints = [
            models.CheckConstraint(name="finding_subject_known", condition=Q(subject__in=SUBJECTS)),
        ]


class FindingOccurrence(models.Model):
    """It was seen: how grave, what shows it. `evidence` is (kind, reference) of an entry, a loop, a model, a check."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="occurrences")
    severity = models.CharField(max_length=10, choices=[(s.value, s.value) for s in Severity])
    evidence_kind = models.CharField(max_length=30)
    evidence = models.CharField(max_length=160)
    text = models.TextField(blank=True)
    seen_at = models.DateTimeField()
    seen_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="finding_evidence_once", fields=["finding", "evidence_kind", "evidence", "severity"]
            ),
            models.CheckConstraint(
                name="finding_severity_known", condition=Q(severity__in=[s.value for s in Severity])
            ),
        ]


class FindingEvent(models.Model):
    """One step on a finding's way: who owns it, by when, what was done, who closed it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="events")
    seq = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in FindingState])
    owner = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    due_at = models.DateTimeField()
    action = models.TextField(blank=True)
    said = models.TextField(blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    signature = models.OneToOneField(Signature, null=True, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="finding_event_once", fields=["finding", "seq"]),
            models.CheckConstraint(
                name="finding_owned_by_someone", condition=Q(state__in=["open", "reopened"]) | Q(owner__isnull=False)
            ),
            models.CheckConstraint(
                name="finding_closed_is_signed",
                condition=~Q(state__in=["checked", "closed"]) | Q(signature__isnull=False),
            ),
            models.CheckConstraint(name="finding_action_said", condition=~Q(state="action_recorded") | ~Q(action="")),
        ]


class Incident(models.Model):
    """Something happened that an authority may have to be told of; what it is about, over which time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=200)
    subject = models.CharField(max_length=20, choices=[(s, s) for s in SUBJECTS])
    name = models.CharField(max_length=160, blank=True)
    happened_from = models.DateTimeField()
    happened_until = models.DateTimeField()
    aware_at = models.DateTimeField()
    finding = models.ForeignKey(Finding, null=True, on_delete=models.PROTECT, related_name="incidents")
    reported_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="incident_subject_known", condition=Q(subject__in=SUBJECTS)),
            models.CheckConstraint(
                name="incident_ends_after_start",
                condition=Q(happened_until__gte=models.F("happened_from"), aware_at__gte=models.F("happened_from")),
            ),
        ]


class IncidentEvent(models.Model):
    """One step: assessed as which class, reported to whom under which number, closed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="events")
    seq = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in IncidentState])
    of = models.CharField(max_length=40, choices=[(c.value, c.value) for c in IncidentClass])
    authority = models.CharField(max_length=120, blank=True)
    reference = models.CharField(max_length=120, blank=True)
    said = models.TextField(blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="incident_event_once", fields=["incident", "seq"]),
            models.CheckConstraint(
                name="incident_reported_somewhere", condition=~Q(state="reported") | ~Q(authority="", reference="")
            ),
        ]
