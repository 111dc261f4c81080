"""Decisions drawn for a second reading, what the second reader said, and what they said once they saw the first.

Rules (CLI-15, CLINICAL 4.3)
 * All of these only grow. A decision takes part in one draw; a draw uses one seed, which was recorded before it.
 * Nobody reads their own decision: a check here, and a trigger that the decider named is the decision's own.
 * The second reading is blind: its row cannot follow the verdict, which needs it.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.models import User

from ..domain.loops import DecisionKind
from .loops import Decision

VERDICTS = ("agree", "disagree", "concern")


class ReviewSeed(models.Model):
    """A seed, recorded before the decisions it will draw from are taken."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    seed = models.CharField(max_length=64)
    rules = models.CharField(max_length=40)
    made_at = models.DateTimeField()
    entry = models.UUIDField()


class ReviewDraw(models.Model):
    """One draw: from how many decisions, by their digest, and how many were drawn."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    seed = models.OneToOneField(ReviewSeed, on_delete=models.PROTECT, related_name="draw")
    population = models.PositiveIntegerField()
    population_sha256 = models.CharField(max_length=64)
    drawn = models.PositiveIntegerField()
    drawn_at = models.DateTimeField()
    entry = models.UUIDField()


class SecondReview(models.Model):
    """A decision that took part in a draw, and whether it was drawn."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    draw = models.ForeignKey(ReviewDraw, on_delete=models.PROTECT, related_name="considered")
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="second_review")
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    marks = ArrayField(models.CharField(max_length=30), default=list)
    tickets = models.PositiveIntegerField()
    drawn = models.BooleanField()
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["drawn"], name="review_drawn", condition=Q(drawn=True))]


class SecondReading(models.Model):
    """What another clinician would have decided, said before the first decision was shown to them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    review = models.OneToOneField(SecondReview, on_delete=models.PROTECT, related_name="reading")
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reader = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in DecisionKind])
    reason_code = models.CharField(max_length=60)
    free_text = models.TextField(blank=True)
    read_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="second_reading_by_another", condition=~Q(reader=F("decided_by"))),
        ]


class SecondVerdict(models.Model):
    """What the second reader says of the first decision, once they have seen it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reading = models.OneToOneField(SecondReading, on_delete=models.PROTECT, related_name="verdict")
    verdict = models.CharField(max_length=10, choices=[(v, v) for v in VERDICTS])
    reason_code = models.CharField(max_length=60, blank=True)
    free_text = models.TextField(blank=True)
    said_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="second_verdict_says_why", condition=Q(verdict="agree") | ~Q(reason_code="")),
        ]
