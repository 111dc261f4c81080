"""Oversight that is drawn: proposals that are decided before they are shown, and what was answered then.

Rules (CLINICAL 4.3)
 * All of these only grow. A proposal is drawn when it reaches a clinician; a row is put beside its own entry.
 * Nobody's decision on a drawn proposal is kept before that person's own answer: a check in the service, and a trigger.
"""

from __future__ import annotations

import uuid

from django.db import models

from governance.models import Signature, User

from ..oversight.first import Amounts
from .loops import Loop


class FirstRule(models.Model):
    """From when on, and at which rate, proposals are drawn here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rules = models.CharField(max_length=40)
    permille = models.PositiveSmallIntegerField()
    begun_at = models.DateTimeField()
    entry = models.UUIDField()


class DecideFirst(models.Model):
    """A proposal that was drawn: every clinician says what they would do before they see it."""

    loop = models.OneToOneField(Loop, primary_key=True, on_delete=models.PROTECT, related_name="decide_first")
    rule = models.ForeignKey(FirstRule, on_delete=models.PROTECT, related_name="drawn")
    entry = models.UUIDField()


class FirstAnswer(models.Model):
    """What a clinician would have done, said before they saw the proposal."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    loop = models.ForeignKey(Loop, on_delete=models.PROTECT, related_name="first_answers")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    answer = models.CharField(max_length=120)
    amounts_to = models.CharField(max_length=10, choices=[(a.value, a.value) for a in Amounts])
    free_text = models.TextField(blank=True)
    said_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(name="first_answer_once", fields=["loop", "person"])]


class ProbeRule(models.Model):
    """From when on probes are placed here, and how far apart, in real proposals of one person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    library = models.CharField(max_length=40)
    least_gap = models.PositiveSmallIntegerField()
    most_gap = models.PositiveSmallIntegerField()
    begun_at = models.DateTimeField()
    entry = models.UUIDField()


class ProbePerson(models.Model):
    """Somebody who does not exist. No row here is a patient: nothing of care can point to it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    synthetic = models.BooleanField(default=True)
    given_name = models.CharField(max_length=60)
    family_name = models.CharField(max_length=60)
    sex = models.CharField(max_length=10)
    born_on = models.DateField()
    zone = models.CharField(max_length=60)
    entry = models.UUIDField()

    class Meta:
        constraints = [models.CheckConstraint(name="probe_person_is_synthetic", condition=models.Q(synthetic=True))]


class Probe(models.Model):
    """A known-wrong proposal, sealed until its one person has decided it. It is no recommendation and has no steps."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    about = models.OneToOneField(ProbePerson, on_delete=models.PROTECT, related_name="probe")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    case = models.CharField(max_length=60)
    library = models.CharField(max_length=40)
    outcome = models.TextField()
    digest = models.CharField(max_length=64)
    model_name = models.CharField(max_length=80)
    model_version = models.CharField(max_length=40)
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(name="probe_number_once", fields=["person", "number"])]


class ProbeAnswer(models.Model):
    """What somebody decided of a probe, signed like any decision; it ends there. `noticed`: it was not approved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    probe = models.OneToOneField(Probe, on_delete=models.PROTECT, related_name="answer")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=40)
    kind = models.CharField(max_length=10, choices=[(a.value, a.value) for a in Amounts])
    final_change = models.TextField()
    reason_code = models.CharField(max_length=60)
    free_text = models.TextField(blank=True)
    noticed = models.BooleanField()
    answered_at = models.DateTimeField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="probe_noticed_is_not_approved",
                condition=models.Q(kind="approve", noticed=False)
                | (~models.Q(kind="approve") & models.Q(noticed=True)),
            )
        ]
