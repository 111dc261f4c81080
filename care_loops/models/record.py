"""What the patient takes and has: regimens as dated histories, conditions, allergies, and what could not be read."""

from __future__ import annotations

import uuid

from django.db import models

from ..domain.record import ConditionKind, DrugClass
from .loops import Loop
from .observations import Sourced
from .people import Patient


class RegimenEntry(Sourced):
    """One dated line of the regimen: from `starts_at` this drug at this daily dose, or stopped.

    `known` is false when the code, the strength or the dose could not be read; `unknown_reason` says which, and
    titration is refused. An entry written by a loop counts only once its first intake is confirmed (`FirstIntake`).
    `nothing` is no drug: it says that no medicines are taken.
    """

    ACTIVE, STOPPED, NOTHING = "active", "stopped", "nothing"

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="regimen_entries")
    loop = models.ForeignKey(Loop, null=True, on_delete=models.PROTECT, related_name="regimen_entries")
    ingredient = models.CharField(max_length=20, blank=True)
    name = models.CharField(max_length=300)
    drug_class = models.CharField(max_length=40, blank=True, choices=[(v.value, v.value) for v in DrugClass])
    product = models.CharField(max_length=20, blank=True)
    daily_dose_mg = models.DecimalField(max_digits=9, decimal_places=3, null=True)
    step_index = models.SmallIntegerField(null=True)
    status = models.CharField(max_length=10, choices=[(s, s) for s in (ACTIVE, STOPPED, NOTHING)])
    starts_at = models.DateTimeField()
    known = models.BooleanField()
    unknown_reason = models.CharField(max_length=60, blank=True)
    code_system = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="regimen_source_once", fields=["source_system", "source_id"]),
            models.CheckConstraint(
                name="regimen_unknown_has_reason",
                condition=(models.Q(known=True, unknown_reason="") & ~models.Q(ingredient=""))
                | (models.Q(known=False) & ~models.Q(unknown_reason=""))
                | models.Q(status="nothing", unknown_reason=""),
            ),
            models.CheckConstraint(
                name="regimen_nothing_names_no_drug",
                condition=~models.Q(status="nothing")
                | models.Q(known=True, ingredient="", daily_dose_mg__isnull=True, loop__isnull=True),
            ),
        ]
        indexes = [models.Index(fields=["patient", "-starts_at"])]


class FirstIntake(models.Model):
    """The first dose of a new regimen line was taken: only now the regimen has changed."""

    regimen_entry = models.OneToOneField(RegimenEntry, on_delete=models.PROTECT, related_name="first_intake")
    at = models.DateTimeField()
    entry = models.UUIDField()


class Condition(Sourced):
    """A condition on record. `kind` is null when no rule reads it; the code is kept all the same."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="conditions")
    kind = models.CharField(max_length=50, blank=True, choices=[(v.value, v.value) for v in ConditionKind])
    code_system = models.CharField(max_length=200)
    code = models.CharField(max_length=60)
    display = models.CharField(max_length=300, blank=True)
    pregnancy = models.BooleanField(default=False)
    onset_at = models.DateTimeField(null=True)
    abated_at = models.DateTimeField(null=True)
    active = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(name="condition_source_once", fields=["source_system", "source_id"])]
        indexes = [models.Index(fields=["patient", "kind"])]


class Allergy(Sourced):
    """An allergy or intolerance to a substance; `ingredient` is the RxNorm IN code where it is one."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="allergies")
    ingredient = models.CharField(max_length=20, blank=True)
    code_system = models.CharField(max_length=200)
    code = models.CharField(max_length=60)
    display = models.CharField(max_length=300, blank=True)
    active = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(name="allergy_source_once", fields=["source_system", "source_id"])]


class ImportRefusal(models.Model):
    """A resource that an import could not take, kept where it can be looked at."""

    source_system = models.CharField(max_length=200)
    source_id = models.CharField(max_length=200)
    resource_type = models.CharField(max_length=60)
    reason = models.CharField(max_length=60)
    detail = models.TextField(blank=True)
    body = models.TextField()
    body_sha256 = models.CharField(max_length=64, unique=True)
    refused_at = models.DateTimeField()
    entry = models.UUIDField()


class ImportRun(models.Model):
    """One import: from which system, of which bytes. Its stages say how far it came; a broken one is taken up again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source_system = models.CharField(max_length=200)
    input_sha256 = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    entry = models.UUIDField()


class ImportStage(models.Model):
    """A stage that is done, with its counts (DAT-03). `place` counts patients within `patient`; elsewhere it is 0."""

    READ, MAPPED, QUARANTINED, PATIENT, FINISHED = "read", "mapped", "quarantined", "patient", "finished"
    STAGES = (READ, MAPPED, QUARANTINED, PATIENT, FINISHED)

    run = models.ForeignKey(ImportRun, on_delete=models.PROTECT, related_name="stages")
    stage = models.CharField(max_length=20, choices=[(s, s) for s in STAGES])
    place = models.PositiveIntegerField()
    counts = models.JSONField()
    done_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(name="import_stage_once", fields=["run", "stage", "place"])]
