"""Accounts, roles held, asked for and invited to.

Rules
 * What names a person (names, user name, address, what was written about them) is sealed under the person's own key;
   who signs in, and who has an address, is found by a blind index (SECURITY 1.3).
 * Roles are held from one instant to another; nothing is deleted when a person leaves.
"""

from __future__ import annotations

import uuid
from unicodedata import normalize

from django.contrib.auth.models import AbstractUser
from django.core.validators import validate_email
from django.db import models

from audit.services.sealed_text import BlindIndex, SealedText

from ..domain import Role


class User(AbstractUser):
    """A person who can sign in. Devices, jobs and models never have one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = SealedText(
        "username",
        max_length=150,
        unique=True,
        index="username_index",
        validators=[AbstractUser.username_validator],
        error_messages={"unique": "A user with that username already exists."},
    )
    username_index = BlindIndex(of="username", unique=True, null=True)
    first_name = SealedText("first name", max_length=150, blank=True)
    last_name = SealedText("last name", max_length=150, blank=True)
    email = SealedText("email address", max_length=254, blank=True, index="email_index", validators=[validate_email])
    email_index = BlindIndex(of="email", null=True, db_index=True)
    left_at = models.DateTimeField(null=True, blank=True)

    @property
    def printed_name(self) -> str:
        """The name that stands under a signature (21 CFR 11.50)."""
        return normalize("NFC", self.get_full_name() or self.username)  # as the record spells


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
    email = SealedText(max_length=254, validators=[validate_email])
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


class RoleAsked(models.Model):
    """A role somebody asked for on a person's behalf, and what a third person said. Nobody approves their own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=40, choices=[(r.value, r.value) for r in Role])
    reason = SealedText(subject="user_id")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    answered_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True, blank=True)
    granted = models.BooleanField(null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="role_asked_once", fields=["user", "role"], condition=models.Q(answered_at__isnull=True)
            ),
            models.CheckConstraint(
                name="role_answered_by_another",
                condition=models.Q(answered_by__isnull=True)
                | ~models.Q(answered_by=models.F("asked_by")) & ~models.Q(answered_by=models.F("user")),
            ),
            models.CheckConstraint(
                name="role_answer_whole",
                condition=models.Q(answered_by__isnull=True, answered_at__isnull=True, granted__isnull=True)
                | models.Q(answered_by__isnull=False, answered_at__isnull=False, granted__isnull=False),
            ),
        ]
