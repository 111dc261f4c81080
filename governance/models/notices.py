"""How people are reached: their addresses, the rota, what was sent to whom, and tests of the channels.

Rules
 * An address is sealed under its person's key and counts once it is confirmed; it ends, it never changes.
 * A shift is only added or called off; whoever stands in is a row of its own.
 * A notice carries no words of a patient: what it is about is an identifier. Its state moves with an entry; each try is
   a row before it is made and a row after, so that a crash between the two is seen (SECURITY 4: effect ledger).
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from ..channels import Channel, NoticeKind, NoticeState
from ..cover import Rung
from .accounts import User


class ContactPoint(models.Model):
    """Where somebody can be reached."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="contact_points")
    channel = models.CharField(max_length=10, choices=[(c.value, c.value) for c in Channel])
    address = models.BinaryField()
    added_at = models.DateTimeField()
    code_sha256 = models.CharField(max_length=64, blank=True)
    code_tries = models.PositiveSmallIntegerField(default=0)
    confirmed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(name="contact_point_of", fields=["user", "channel"])]


class OnCallShift(models.Model):
    """Somebody is on one rung of the ladder from `starts` until before `ends`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rung = models.CharField(max_length=40, choices=[(r.value, r.value) for r in Rung])
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    starts = models.DateTimeField()
    ends = models.DateTimeField()
    called_off_at = models.DateTimeField(null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [models.CheckConstraint(name="shift_has_a_length", condition=Q(ends__gt=F("starts")))]
        indexes = [models.Index(name="shift_by_time", fields=["rung", "ends"])]


class ShiftCover(models.Model):
    """Somebody stands in for a part of a shift. Rows are only added; of those that overlap the newest holds."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    shift = models.ForeignKey(OnCallShift, on_delete=models.PROTECT, related_name="covers")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    starts = models.DateTimeField()
    ends = models.DateTimeField()
    taken_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [models.CheckConstraint(name="cover_has_a_length", condition=Q(ends__gt=F("starts")))]


class Notice(models.Model):
    """One message to one address. `about` is what it is about; the provider knows it by the notice's own id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in NoticeKind])
    about = models.CharField(max_length=80)
    grave = models.CharField(max_length=20, blank=True)
    level = models.PositiveSmallIntegerField(default=0)
    contact = models.ForeignKey(ContactPoint, on_delete=models.PROTECT, related_name="notices")
    planned_at = models.DateTimeField()
    tried = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in NoticeState])
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="notice_once", fields=["kind", "about", "level", "contact"]),
        ]
        indexes = [models.Index(name="notice_due", fields=["next_try_at"], condition=Q(state="planned"))]


class NoticeTry(models.Model):
    """A try, written before it is made and once more with its outcome. Rows are only added."""

    OUTCOMES = ("begun", "accepted", "refused", "unreachable")

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="tries")
    number = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=12, choices=[(o, o) for o in OUTCOMES])
    at = models.DateTimeField()
    reference = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="notice_try_once", fields=["notice", "number", "outcome"])]
