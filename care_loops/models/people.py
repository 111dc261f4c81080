"""Patients, who cares for them, what they agreed to.

Who a patient is (names, date of birth, identifier at the source) stands here sealed under the patient's own data key
(SECURITY 1.3). It is opened on first use, for all rows of the same query at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date

from django.db import models

from audit.services import personal
from governance.models import User

from ..domain.record import Sex

IDENTITY = ("given_name", "family_name", "born_on", "source_id")
TABLE = "care_loops_patient"


def source_index(source_id: str) -> bytes | None:
    """The blind index of an identifier at the source; None for none."""
    return personal.blind_index(f"{TABLE}.source_id", source_id) if source_id else None


def sealed_identity(
    patient_id: uuid.UUID, *, given_name: str, family_name: str, born_on: date | None, source_id: str
) -> dict[str, bytes | None]:
    """The columns that say who a patient is, sealed in the caller's transaction."""
    said = {
        "given_name": given_name,
        "family_name": family_name,
        "born_on": born_on.isoformat() if born_on else None,
        "source_id": source_id,
    }
    sealed = personal.seal(str(patient_id), table=TABLE, row_id=str(patient_id), values=said)
    return {f"{name}_sealed": value for name, value in sealed.items()} | {"source_index": source_index(source_id)}


class PatientQuerySet(models.QuerySet["Patient"]):
    """Rows fetched together are opened together."""

    def of_source(self, source_system: str, source_id: str) -> PatientQuerySet:
        """The patient that came from there under that identifier; nobody for an empty one."""
        index = source_index(source_id)
        return self.none() if index is None else self.filter(source_system=source_system, source_index=index)

    def _fetch_all(self) -> None:
        fresh = self._result_cache is None
        super()._fetch_all()
        if fresh:
            read_together(row for row in self._result_cache or () if isinstance(row, Patient))


class Patient(models.Model):
    """A person whose record this is. `account` is how the patient signs in, once enrolled.

    `source_system` and `source_id` name the record where it came from, so that importing twice changes nothing;
    `source_index` finds it without showing it. `peers` are the rows this one was fetched with, `identity` what was
    opened of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source_system = models.CharField(max_length=200, blank=True)
    source_id_sealed = models.BinaryField()
    source_index = models.BinaryField(null=True)
    given_name_sealed = models.BinaryField()
    family_name_sealed = models.BinaryField()
    born_on_sealed = models.BinaryField(null=True)
    died_at = models.DateTimeField(null=True, blank=True)
    sex = models.CharField(max_length=10, choices=[(s.value, s.value) for s in Sex])
    zone = models.CharField(max_length=60)
    synthetic = models.BooleanField()
    account = models.OneToOneField(User, null=True, blank=True, on_delete=models.PROTECT, related_name="patient")
    enrolled_at = models.DateTimeField()
    entry = models.UUIDField()

    objects = PatientQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="patient_source_once",
                fields=["source_system", "source_index"],
                condition=models.Q(source_index__isnull=False),
            ),
        ]

    peers: tuple[Patient, ...] = ()
    identity: dict[str, str | None] | None = None

    def _said(self, name: str) -> str | None:
        """A field of who this is, opened with those of the rows it was fetched with; None when its key is destroyed."""
        if self.identity is None:
            _open_identities([self, *(row for row in self.peers if row is not self and row.identity is None)])
        return (self.identity or {}).get(name)

    @property
    def given_name(self) -> str:
        """Empty when unknown or shredded."""
        return self._said("given_name") or ""

    @property
    def family_name(self) -> str:
        """Empty when unknown or shredded."""
        return self._said("family_name") or ""

    @property
    def source_id(self) -> str:
        """The identifier at the source; empty when it gave none, or shredded."""
        return self._said("source_id") or ""

    @property
    def born_on(self) -> date | None:
        """None when unknown or shredded."""
        said = self._said("born_on")
        return date.fromisoformat(said) if said else None

    @property
    def shown_name(self) -> str:
        """Family name first, as on a worklist."""
        return ", ".join(part for part in (self.family_name, self.given_name) if part) or "(no name on record)"


def read_together(rows: Iterable[Patient]) -> None:
    """Rows that came with others (select_related) are opened with one question when the first of them is asked."""
    peers = tuple(rows)
    for row in peers:
        row.peers = peers


def _open_identities(rows: list[Patient]) -> None:
    sealed = [
        personal.SealedRow(TABLE, str(row.pk), {name: getattr(row, f"{name}_sealed") for name in IDENTITY})
        for row in rows
    ]
    opened = personal.open_many(sealed)
    for row, found in zip(rows, opened, strict=True):
        row.identity = found or {}


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
    """What a patient agreed to or withdrew. The newest row of a scope holds; no row means no.

    `text_version` and `text_sha256` say which text was shown; empty where none was.
    """

    SCOPES = ("care", "automated_advice", "research", "raw_upload", "human_only_care")

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    scope = models.CharField(max_length=30, choices=[(s, s) for s in SCOPES])
    given = models.BooleanField()
    at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text_version = models.CharField(max_length=20, blank=True, default="")
    text_sha256 = models.CharField(max_length=64, blank=True, default="")
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["patient", "scope", "-at"])]
