"""What was measured, felt and taken: evidence that only grows.

A row carries its source (`source_system`, `source_id`), so that what arrives twice is stored once. `device` is an
opaque reference: this app knows nothing of devices. Absent stays null, with the reason beside it.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from governance.models import User

from ..domain.readings import Flag, Implausible, Method, Position, Setting, Status
from ..domain.record import LabKind, SymptomKind
from .people import Patient


class Sourced(models.Model):
    """What every piece of evidence carries."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source_system = models.CharField(max_length=200)
    source_id = models.CharField(max_length=200)
    received_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        abstract = True


class BloodPressure(Sourced):
    """One measurement of blood pressure. `quarantined` holds it back from every average, never from sight."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="blood_pressures")
    taken_at = models.DateTimeField()
    zone = models.CharField(max_length=60)
    systolic = models.DecimalField(max_digits=9, decimal_places=4, null=True)
    diastolic = models.DecimalField(max_digits=9, decimal_places=4, null=True)
    pulse = models.DecimalField(max_digits=9, decimal_places=4, null=True)
    absent_reason = models.CharField(max_length=60, blank=True)
    method = models.CharField(max_length=20, choices=[(v.value, v.value) for v in Method])
    setting = models.CharField(max_length=20, choices=[(v.value, v.value) for v in Setting])
    position = models.CharField(max_length=20, choices=[(v.value, v.value) for v in Position])
    status = models.CharField(max_length=20, choices=[(v.value, v.value) for v in Status])
    device_validated = models.BooleanField()
    device = models.CharField(max_length=80, blank=True)
    session = models.CharField(max_length=80, blank=True)
    flags = ArrayField(models.CharField(max_length=20, choices=[(v.value, v.value) for v in Flag]), default=list)
    quarantined = models.CharField(max_length=40, blank=True, choices=[(v.value, v.value) for v in Implausible])
    batch = models.UUIDField()
    batch_index = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="bp_source_once", fields=["source_system", "source_id"]),
            models.CheckConstraint(
                name="bp_absent_has_reason",
                condition=models.Q(systolic__isnull=False, diastolic__isnull=False) | ~models.Q(absent_reason=""),
            ),
            models.CheckConstraint(
                name="bp_impossible_is_quarantined",
                condition=models.Q(systolic__gt=models.F("diastolic"))
                | models.Q(systolic__isnull=True)
                | models.Q(diastolic__isnull=True)
                | ~models.Q(quarantined=""),
            ),
        ]
        indexes = [models.Index(fields=["patient", "-taken_at"]), models.Index(fields=["batch", "batch_index"])]


class Lab(Sourced):
    """A laboratory result in the unit the rules use, with the value as it was sent beside it."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="labs")
    kind = models.CharField(max_length=20, choices=[(v.value, v.value) for v in LabKind])
    value = models.DecimalField(max_digits=12, decimal_places=4)
    sent_value = models.CharField(max_length=40)
    sent_unit = models.CharField(max_length=40)
    taken_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(name="lab_source_once", fields=["source_system", "source_id"])]
        indexes = [models.Index(fields=["patient", "kind", "-taken_at"])]


class SensorSample(Sourced):
    """Context from a wearable: heart rate, steps, activity, cuffless estimates. Never enters an average."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="sensor_samples")
    kind = models.CharField(max_length=40)
    value = models.DecimalField(max_digits=14, decimal_places=4)
    unit = models.CharField(max_length=30)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    device = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="sensor_source_once", fields=["source_system", "source_id"]),
            models.CheckConstraint(
                name="sensor_ends_after_start", condition=models.Q(ends_at__gte=models.F("starts_at"))
            ),
        ]
        indexes = [models.Index(fields=["patient", "kind", "-starts_at"])]


class Symptom(Sourced):
    """A symptom as the patient (or a person for them) reported it, perhaps blamed on a drug (RxNorm IN)."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="symptoms")
    kind = models.CharField(max_length=60, choices=[(v.value, v.value) for v in SymptomKind])
    suspected_ingredient = models.CharField(max_length=20, blank=True)
    text = models.TextField(blank=True)
    felt_at = models.DateTimeField()
    reported_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(name="symptom_source_once", fields=["source_system", "source_id"])]
        indexes = [models.Index(fields=["patient", "-felt_at"])]


class SymptomReview(models.Model):
    """A clinician dealt with a symptom; until then automation for the blamed drug is paused."""

    symptom = models.OneToOneField(Symptom, on_delete=models.PROTECT, related_name="review")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    outcome = models.CharField(max_length=40)
    text = models.TextField(blank=True)
    entry = models.UUIDField()


class IntakeLog(Sourced):
    """A dose taken or skipped, as the patient logged it."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="intakes")
    ingredient = models.CharField(max_length=20)
    due_on = models.DateField()
    taken = models.BooleanField()
    taken_at = models.DateTimeField(null=True)
    daily_dose_mg = models.DecimalField(max_digits=9, decimal_places=3, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="intake_source_once", fields=["source_system", "source_id"]),
            models.CheckConstraint(
                name="intake_taken_has_time",
                condition=models.Q(taken=True, taken_at__isnull=False) | models.Q(taken=False, taken_at__isnull=True),
            ),
        ]
        indexes = [models.Index(fields=["patient", "-due_on"])]


class Correction(models.Model):
    """An entry that a reading does not count: taken for the wrong patient, or entered in error. Never an edit.

    `by`: the person who corrected it; `None` where its source took it back as entered in error, which the entry names.
    """

    reading = models.OneToOneField(BloodPressure, on_delete=models.PROTECT, related_name="correction")
    reason = models.CharField(max_length=30, choices=[(r, r) for r in ("wrong_patient", "entered_in_error")])
    moved_to = models.OneToOneField(BloodPressure, null=True, on_delete=models.PROTECT, related_name="corrected_from")
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    text = models.TextField(blank=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="correction_has_person_or_was_taken_back",
                condition=models.Q(by__isnull=False) | models.Q(reason="entered_in_error", moved_to__isnull=True),
            ),
        ]
