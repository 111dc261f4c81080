"""Records opened by break-glass, what was read under it, and what another person said of it.

Rules (N10)
 * A window never moves: of an opening only its end is written, once, beside its entry. The database holds it, and that
   no opening stands without a signature by whoever opened it and without its alarm.
 * What was read only grows. A review is closed by somebody else, who may, after the opening has ended.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from audit.services.sealed_text import SealedText
from governance.models import Signature, User

from ..break_glass import EndedHow, ReviewOutcome
from .people import Patient


class BreakGlass(models.Model):
    """One record opened by one clinician outside its care team, from `opened_at` until `until` at the latest.

    `session_sha256` names the session, or the token of a client, in which it was opened: no other reads under it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="openings")
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason_code = models.CharField(max_length=40)
    text = SealedText(subject="patient_id")
    client = models.CharField(max_length=100, blank=True)
    session_sha256 = models.CharField(max_length=64)
    opened_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_how = models.CharField(max_length=20, blank=True, choices=[(how.value, how.value) for how in EndedHow])
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="glass_has_a_window", condition=Q(until__gt=F("opened_at"))),
            models.CheckConstraint(
                name="glass_end_whole",
                condition=Q(ended_at__isnull=True, ended_how="") | Q(ended_at__isnull=False) & ~Q(ended_how=""),
            ),
            models.UniqueConstraint(
                name="glass_open_once", fields=["patient", "opened_by"], condition=Q(ended_at__isnull=True)
            ),
        ]
        indexes = [models.Index(name="glass_of_person", fields=["opened_by", "-until"])]


class BreakGlassRead(models.Model):
    """What was read under an opening, and by which client of the person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    opening = models.ForeignKey(BreakGlass, on_delete=models.PROTECT, related_name="reads")
    what = models.CharField(max_length=120)
    client = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()
    entry = models.UUIDField()


class BreakGlassReview(models.Model):
    """What another person found. Its row closes the review; there is one."""

    opening = models.OneToOneField(BreakGlass, on_delete=models.PROTECT, primary_key=True, related_name="review")
    outcome = models.CharField(max_length=20, choices=[(each.value, each.value) for each in ReviewOutcome])
    text = SealedText(subject="opening.patient_id")
    reviewed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField()
    entry = models.UUIDField()
