"""Devices, their keys, whose they are, and everything they sent.

Rules
 * What arrived only grows: Batch, Received and RefusedReading take inserts and nothing else (rights and triggers).
 * A sequence number of a boot of a device is taken once; the database decides, so neither a restart nor two threads can
   take it twice (SECURITY F13, A18).
 * A device is somebody's from one instant to another; a reading belongs to whoever had the device when it was measured.
 * A revoked key stays known, so that its use can be told from a stranger's. Private keys are never here.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from care_loops.domain.readings import Method, Setting
from care_loops.models import Patient
from governance.models import User

from .domain import DeviceKind, Outcome


class Device(models.Model):
    """A measuring device. `validated` is about the model of cuff; nothing about how it measures is ever assumed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=30, choices=[(k.value, k.value) for k in DeviceKind])
    model_name = models.CharField(max_length=120)
    method = models.CharField(max_length=20, choices=[(m.value, m.value) for m in Method])
    setting = models.CharField(max_length=20, choices=[(s.value, s.value) for s in Setting])
    validated = models.BooleanField()
    zone = models.CharField(max_length=60, blank=True)
    added_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="device_validated_is_a_cuff",
                condition=models.Q(validated=False) | models.Q(method__in=["upper_arm_cuff", "wrist_cuff"]),
            ),
        ]


class EnrolmentCode(models.Model):
    """A one-time code for one device, kept only as its SHA-256. It is used up by the key enrolled with it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="codes")
    code_sha256 = models.CharField(max_length=64, unique=True)
    issued_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    entry = models.UUIDField()


class DeviceKey(models.Model):
    """An Ed25519 public key of a device, from `since` until it is revoked."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="keys")
    key_id = models.CharField(max_length=32, unique=True)
    public_key = models.BinaryField()
    code = models.OneToOneField(EnrolmentCode, on_delete=models.PROTECT, related_name="key")
    since = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=60, blank=True)
    revoked_entry = models.UUIDField(null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="device_one_key_at_a_time", fields=["device"], condition=models.Q(revoked_at__isnull=True)
            ),
            models.CheckConstraint(
                name="device_key_revoked_with_entry",
                condition=models.Q(revoked_at__isnull=True, revoked_entry__isnull=True)
                | models.Q(revoked_at__isnull=False, revoked_entry__isnull=False),
            ),
        ]


class DeviceAssignment(models.Model):
    """Whose device it is, from `since` (included) until `until` (excluded)."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="assignments")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="device_assignments")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    ended_entry = models.UUIDField(null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="device_one_patient_at_a_time", fields=["device"], condition=models.Q(until__isnull=True)
            ),
            models.CheckConstraint(
                name="assignment_ends_after_start",
                condition=models.Q(until__isnull=True) | models.Q(until__gt=models.F("since")),
            ),
        ]
        indexes = [models.Index(fields=["device", "-since"])]


class BootMark(models.Model):
    """The high-water mark of one boot of one device, with the gaps below it. Locked while a batch is taken in."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="marks")
    boot_id = models.UUIDField()
    high_water = models.BigIntegerField()
    gaps = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="boot_mark_once", fields=["device", "boot_id"]),
            models.CheckConstraint(name="boot_mark_from_zero", condition=models.Q(high_water__gte=0)),
        ]


class Batch(models.Model):
    """A batch that was taken in, with the answer it was given, byte for byte: the same again gets the same."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="batches")
    key = models.ForeignKey(DeviceKey, on_delete=models.PROTECT, related_name="+")
    boot_id = models.UUIDField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    body_sha256 = models.CharField(max_length=64)
    format = models.CharField(max_length=40)
    sent_at = models.DateTimeField()
    received_at = models.DateTimeField()
    signature = models.BinaryField()
    response = models.BinaryField()
    entries = ArrayField(models.UUIDField())
    entry = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="batch_once", fields=["device", "boot_id", "first_seq", "last_seq", "body_sha256"]
            ),
        ]
        indexes = [models.Index(fields=["device", "-received_at"])]


class Received(models.Model):
    """One sequence number that was taken: the digest of what came under it and what became of it."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="received")
    boot_id = models.UUIDField()
    seq = models.BigIntegerField()
    content_sha256 = models.CharField(max_length=64)
    outcome = models.CharField(max_length=12, choices=[(o.value, o.value) for o in Outcome])
    code = models.CharField(max_length=40, blank=True)
    reading = models.UUIDField(null=True)
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="received")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="sequence_number_once", fields=["device", "boot_id", "seq"]),
        ]


class RefusedReading(models.Model):
    """What was refused or held back at the entrance, kept as it came (capped), with the reason.

    A reading has `seq`; a whole message that was refused has none. `claimed_device` is what the message said of itself.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, null=True, on_delete=models.PROTECT, related_name="refused")
    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="refused_readings")
    claimed_device = models.CharField(max_length=80, blank=True)
    boot_id = models.UUIDField(null=True)
    seq = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=12, choices=[(o.value, o.value) for o in Outcome])
    code = models.CharField(max_length=40)
    detail = models.CharField(max_length=300)
    body = models.BinaryField()
    body_size = models.BigIntegerField()
    body_sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    entry = models.UUIDField(null=True)

    class Meta:
        indexes = [models.Index(fields=["-received_at"]), models.Index(fields=["device", "-received_at"])]
