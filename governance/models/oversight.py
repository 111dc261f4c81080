"""What stops things: suspensions, each begun once and ended once.

Rules (REGULATORY 2.3 Art. 14(4)(e), FAL-03)
 * A suspension and its end are only ever added (REVOKE and triggers in the migration); it stands while it has no end.
 * A person throws the kill switch. Who ends something is never who began it; a thrown switch needs two such people.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from ..suspension import Cause, Scope
from .accounts import User
from .signing import Signature


class Suspension(models.Model):
    """One thing is suspended from `began_at` on. `cause_ref` names the finding, or the rule that began it by itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=20, choices=[(s.value, s.value) for s in Scope])
    name = models.CharField(max_length=160, blank=True)
    cause = models.CharField(max_length=20, choices=[(c.value, c.value) for c in Cause])
    cause_ref = models.CharField(max_length=80, blank=True)
    reason = models.TextField()
    began_at = models.DateTimeField()
    began_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="suspension_scope_known", condition=Q(scope__in=[s.value for s in Scope])),
            models.CheckConstraint(name="suspension_cause_known", condition=Q(cause__in=[c.value for c in Cause])),
            models.CheckConstraint(
                name="suspension_names_one_thing",
                condition=Q(scope="everything", name="") | ~Q(scope="everything") & ~Q(name=""),
            ),
            models.CheckConstraint(
                name="suspension_says_its_cause",
                condition=Q(cause="kill_switch", began_by__isnull=False) | ~Q(cause="kill_switch") & ~Q(cause_ref=""),
            ),
            models.CheckConstraint(name="suspension_has_a_reason", condition=~Q(reason="")),
        ]
        indexes = [models.Index(name="suspension_by_thing", fields=["scope", "name"])]


class SuspensionEndAsked(models.Model):
    """Somebody else than who began it asks, signed, that a suspension ends; another one has to follow."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    suspension = models.ForeignKey(Suspension, on_delete=models.PROTECT, related_name="asked")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=40)
    reason = models.TextField()
    asked_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="suspension_end_asked_once", fields=["suspension", "asked_by"]),
        ]


class SuspensionEnd(models.Model):
    """A suspension has ended: who ended it, signed, and on whose asking where two are needed."""

    suspension = models.OneToOneField(Suspension, on_delete=models.PROTECT, primary_key=True, related_name="end")
    began_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    asked = models.OneToOneField(SuspensionEndAsked, null=True, on_delete=models.PROTECT, related_name="+")
    ended_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=40)
    reason = models.TextField()
    ended_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="suspension_ended_by_another",
                condition=Q(began_by__isnull=True) | ~Q(began_by=F("ended_by")),
            ),
        ]
