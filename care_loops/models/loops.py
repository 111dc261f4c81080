"""A recommendation and its history: which state, when, and by whom.

Rules
 * `Step` is the history and only grows; `Loop.state` and `Loop.version` repeat its head for lists, and a trigger holds
   them equal. One writer: `services.moves.enter`.
 * The evidence is frozen with the loop as canonical JSON text and its digest; `replay` recomputes from it alone.
 * A step that delivers rests on a decision or on a boundary (N1); a decided step names its decider.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from governance.models import Signature, User

from ..domain.loops import DecisionKind, LoopState, Origin
from ..transitions import DECIDED, ENDINGS
from .limits import Boundary
from .people import Patient

_DECIDED = sorted(DECIDED)


class Loop(models.Model):
    """One recommendation, from its evidence to its end. `window_key` makes one window give one loop."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="loops")
    pathway = models.CharField(max_length=40)
    origin = models.CharField(max_length=10, choices=[(o.value, o.value) for o in Origin])
    window_key = models.CharField(max_length=80)
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    evidence = models.TextField()
    evidence_digest = models.CharField(max_length=64)
    outcome = models.TextField()
    tier = models.CharField(max_length=30)
    withheld_reason = models.CharField(max_length=40, blank=True)
    change_kind = models.CharField(max_length=20)
    model_name = models.CharField(max_length=80, blank=True)
    model_version = models.CharField(max_length=40, blank=True)
    model_digest = models.CharField(max_length=64, blank=True)
    cohort = models.CharField(max_length=60, blank=True, default="")  # empty where opened before there were any
    boundary = models.ForeignKey(Boundary, null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in LoopState])
    version = models.PositiveIntegerField()
    entry = models.UUIDField()

    asks_first = False  # in memory only: what was proposed is taken out for whoever answers first (selectors.first)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="loop_one_per_window", fields=["patient", "pathway", "window_key"]),
            models.CheckConstraint(
                name="loop_withheld_has_reason",
                condition=(Q(state="withheld") & ~Q(withheld_reason=""))
                | (~Q(state="withheld") & Q(withheld_reason="")),
            ),
        ]
        indexes = [
            models.Index(fields=["state", "due_at"]),
            models.Index(fields=["patient", "-opened_at"]),
        ]


class Decision(models.Model):
    """What a clinician decided, the original kept beside the final. Never edited; a new loop supersedes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    loop = models.OneToOneField(Loop, on_delete=models.PROTECT, related_name="decision")
    kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in DecisionKind])
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField()
    seen_version = models.PositiveIntegerField()
    original_change = models.TextField()
    final_change = models.TextField()
    reason_code = models.CharField(max_length=60)
    free_text = models.TextField(blank=True)
    seconds_to_decide = models.PositiveIntegerField()
    policies = models.TextField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+")
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="decision_modify_or_reject_has_reason",
                condition=Q(kind="approve") | ~Q(reason_code=""),
            ),
        ]


class Step(models.Model):
    """A state a loop entered: which, when and by whom. Rows are only ever added."""

    loop = models.ForeignKey(Loop, on_delete=models.PROTECT, related_name="steps")
    seq = models.PositiveIntegerField()
    before = models.CharField(max_length=20, blank=True, choices=[(s.value, s.value) for s in LoopState])
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in LoopState])
    entered_at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=120)
    reason_code = models.CharField(max_length=60, blank=True)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decision = models.ForeignKey(Decision, null=True, on_delete=models.PROTECT, related_name="+")
    boundary = models.ForeignKey(Boundary, null=True, on_delete=models.PROTECT, related_name="+")
    signature = models.OneToOneField(Signature, null=True, on_delete=models.PROTECT, related_name="+")  # of a recall
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="step_seq_once", fields=["loop", "seq"]),
            models.UniqueConstraint(
                name="step_one_ending_per_loop", fields=["loop"], condition=Q(state__in=sorted(ENDINGS))
            ),
            models.CheckConstraint(
                name="step_decided_has_decider",
                condition=(Q(state__in=_DECIDED) & Q(decided_by__isnull=False, decision__isnull=False))
                | (~Q(state__in=_DECIDED) & Q(decided_by__isnull=True)),
            ),
            models.CheckConstraint(
                name="step_delivered_rests_on_decision",
                condition=~Q(state="delivered") | Q(decision__isnull=False),
            ),
            models.CheckConstraint(
                name="step_with_patient_rests_on_boundary",
                condition=~Q(state="with_patient") | Q(boundary__isnull=False),
            ),
            models.CheckConstraint(
                name="step_accepted_rests_on_someone",
                condition=~Q(state__in=["accepted", "done"]) | Q(decision__isnull=False) | Q(boundary__isnull=False),
            ),
        ]


class Look(models.Model):
    """That somebody who may decide opened a waiting recommendation, or its patient's record, before it was decided."""

    PROPOSAL, RECORD, TREND = "proposal", "record", "trend"
    KINDS = (PROPOSAL, RECORD, TREND)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    loop = models.ForeignKey(Loop, on_delete=models.PROTECT, related_name="looks")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    what = models.CharField(max_length=20, choices=[(k, k) for k in KINDS])
    at = models.DateTimeField()
    entry = models.UUIDField()


class Message(models.Model):
    """What was put before the patient: plain words, old and new total daily dose, what to stop."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="messages")
    loop = models.ForeignKey(Loop, null=True, on_delete=models.PROTECT, related_name="messages")
    kind = models.CharField(max_length=40)
    text = models.TextField()
    sent_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="message_once", fields=["loop", "kind"], condition=Q(loop__isnull=False)),
        ]
