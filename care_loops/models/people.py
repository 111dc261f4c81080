"""Patients, who cares for them, what they agreed to."""

from __future__ import annotations

import uuid

from django.db import models

from governance.models import User

from ..domain.record import Sex


class Patient(models.Model):
    """A person whose record this is. `account` is how the patient signs in, once enrolled.

    `source_system` and `source_id` name the record where it came from, so that importing twice changes nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source_system = models.CharField(max_length=200, blank=True)
    source_id = models.CharField(max_length=200, blank=True)
    given_name = models.CharField(max_length=120, blank=True)
    family_name = models.CharField(max_length=120, blank=True)
    born_on = models.DateField(null=True, blank=True)
    died_at = models.DateTimeField(null=True, blank=True)
    sex = models.CharField(max_length=10, choices=[(s.value, s.value) for s in Sex])
    zone = models.CharField(max_length=60)
    synthetic = models.BooleanField()
    account = models.OneToOneField(User, null=True, blank=True, on_delete=models.PROTECT, related_name="patient")
    enrolled_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="patient_source_once",
                fields=["source_system", "source_id"],
                condition=~models.Q(source_id=""),
            ),
        ]

    @property
    def shown_name(self) -> str:
        """Family name first, as on a worklist."""
        return ", ".join(part for part in (self.family_name, self.given_name) if part) or "(no name on record)"


class Merge(models.Model):
    """`absorbed` turned out to be `kept`. Rows stay where they were; reading goes through both."""

    absorbed = models.OneToOneField(Patient, on_delete=models.PROTECT, related_name="merged_into")
    kept = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="absorbed")
    merged_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    merged_at = models.DateTimeField()
    reason = models.TextField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="merge_two_people", condition=~models.Q(absorbed=models.F("kept"))),
        ]


class CareTeamMember(models.Model):
    """A person of the care team, from `since` until `until`."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="care_team")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="care_teams")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    responsible = models.BooleanField(default=False)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="care_team_member_once", fields=["patient", "user"], condition=models.Q(until__isnull=True)
            ),
            models.UniqueConstraint(
                name="care_team_one_responsible",
                fields=["patient"],
                condition=models.Q(until__isnull=True, responsible=True),
            ),
        ]


class CarerLink(models.Model):
    """A carer who acts for a patient."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="carers")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="cares_for")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    entry = models.UUIDField()


class Consent(models.Model):
    """What a patient agreed to or withdrew. The newest row of a scope holds; no row means no."""

    SCOPES = ("care", "automated_advice", "research", "raw_upload", "human_only_care")

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    scope = models.CharField(max_length=30, choices=[(s, s) for s in SCOPES])
    given = models.BooleanField()
    at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["patient", "scope", "-at"])]
