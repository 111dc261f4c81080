"""Accounts, roles held, invitations, signatures, and policies in force.

Rules
 * Roles are held from one instant to another; nothing is deleted when a person leaves.
 * A signature and a policy version are only ever added (REVOKE and triggers in the migration).
 * A policy in force is the newest version whose `effective_from` has come; an absent one is absent, never a default.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models

from .domain import Role


class User(AbstractUser):
    """A person who can sign in. Devices, jobs and models never have one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    left_at = models.DateTimeField(null=True, blank=True)

    @property
    def printed_name(self) -> str:
        """The name that stands under a signature (21 CFR 11.50)."""
        return self.get_full_name() or self.username


class RoleHeld(models.Model):
    """A role a person holds, from `since` until `until`."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="roles_held")
    role = models.CharField(max_length=40, choices=[(r.value, r.value) for r in Role])
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="role_held_once", fields=["user", "role"], condition=models.Q(until__isnull=True)
            ),
            models.CheckConstraint(name="role_held_role_known", condition=models.Q(role__in=[r.value for r in Role])),
        ]


class Invitation(models.Model):
    """An invitation to join with a role; the token is kept only as its SHA-256."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField()
    role = models.CharField(max_length=40, choices=[(r.value, r.value) for r in Role])
    token_sha256 = models.CharField(max_length=64, unique=True)
    patient_ref = models.UUIDField(null=True, blank=True)  # opaque: whose record a patient or carer joins
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    invited_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    accepted_at = models.DateTimeField(null=True, blank=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="invitation_accepted_by_someone",
                condition=models.Q(accepted_by__isnull=True, accepted_at__isnull=True)
                | models.Q(accepted_by__isnull=False, accepted_at__isnull=False),
            ),
        ]


class Signature(models.Model):
    """Name, time and meaning, bound to the digest of the record as it was shown (21 CFR 11.50, 11.70)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    signer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    name_shown = models.CharField(max_length=200)
    role = models.CharField(max_length=40)
    meaning = models.CharField(max_length=80)
    record_digest = models.CharField(max_length=64)
    method = models.CharField(max_length=40)  # "session" is app-attested; stronger methods say their name
    signed_at = models.DateTimeField()
    entry = models.UUIDField()


class PolicyVersion(models.Model):
    """One version of one policy for one subject, as canonical JSON text with its digest."""

    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=80)
    version = models.PositiveIntegerField()
    body = models.TextField()
    digest = models.CharField(max_length=64)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True)
    reason = models.TextField()
    effective_from = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="policy_version_once", fields=["kind", "subject", "version"]),
        ]
