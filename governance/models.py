"""Accounts, roles held, credentials, sessions, signatures, and policies in force.

Rules
 * Roles are held from one instant to another; nothing is deleted when a person leaves.
 * A signature and a policy version are only ever added (REVOKE and triggers in the migration).
 * A policy in force is the newest version whose `effective_from` has come; an absent one is absent, never a default.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models

from .domain import Method, Role


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
    method = models.CharField(max_length=40)  # webauthn, password_totp; "session" in rows of before (decision 50)
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
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="+", null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="policy_version_once", fields=["kind", "subject", "version"]),
        ]


class Credential(models.Model):
    """A passkey, a code generator or a sheet of recovery codes, as it was enrolled. Rows are only ever added."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="credentials")
    method = models.CharField(max_length=20, choices=[(m.value, m.value) for m in Method])
    name = models.CharField(max_length=80)
    credential_id = models.TextField(blank=True)  # base64url, without padding; passkeys only
    public_key = models.TextField(blank=True)  # COSE_Key, base64url; passkeys only
    aaguid = models.CharField(max_length=36, blank=True)
    secret = models.TextField(blank=True)  # of a code generator, encrypted
    enrolled_at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="credential_id_once", fields=["credential_id"], condition=models.Q(method="webauthn")
            ),
            models.CheckConstraint(
                name="credential_passkey_has_key",
                condition=models.Q(method="webauthn") & ~models.Q(credential_id="") & ~models.Q(public_key="")
                | ~models.Q(method="webauthn") & models.Q(credential_id="", public_key=""),
            ),
        ]


class CredentialUse(models.Model):
    """What moves as a credential is used: its counter, the last step whose code was taken."""

    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="use")
    sign_count = models.BigIntegerField(default=0)
    last_step = models.BigIntegerField(default=-1)
    used_at = models.DateTimeField(null=True, blank=True)


class CredentialConfirmed(models.Model):
    """Another person confirmed whose credential this is: from now on it may sign (SECURITY 3.4)."""

    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="confirmed")
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    ceremony = models.BooleanField(default=False)  # the first administrator's own, at the founding of the site
    at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="credential_confirmed_by_another",
                condition=models.Q(ceremony=True, by=models.F("owner"))
                | models.Q(ceremony=False) & ~models.Q(by=models.F("owner")),
            ),
            models.UniqueConstraint(
                name="credential_one_ceremony", fields=["ceremony"], condition=models.Q(ceremony=True)
            ),
        ]


class CredentialRevoked(models.Model):
    """The end of a credential: it opens nothing and signs nothing any more."""

    credential = models.OneToOneField(Credential, on_delete=models.PROTECT, primary_key=True, related_name="revoked")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    reason = models.CharField(max_length=40)
    entry = models.UUIDField()


class RecoveryCode(models.Model):
    """One line of a sheet of recovery codes, kept as its keyed digest; it opens the door once."""

    sheet = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="recovery_code_once", fields=["sheet", "digest"])]


class SignedIn(models.Model):
    """A session as it was opened: how its owner was recognised, when it was last heard of, how it ended."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    session_sha256 = models.CharField(max_length=64, unique=True)
    amr = models.CharField(max_length=120)
    agent = models.CharField(max_length=120, blank=True)
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=40, blank=True)
    entry = models.UUIDField()


class TokenUnder(models.Model):
    """How the person behind a token of the OAuth server was recognised when it was given."""

    kind = models.CharField(max_length=10)  # access, refresh
    row = models.CharField(max_length=40)
    amr = models.CharField(max_length=120)
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(name="token_under_once", fields=["kind", "row"])]


class FailedAttempt(models.Model):
    """Somebody failed to be recognised as this person. Counted, so that guessing ends."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    what = models.CharField(max_length=20)
    at = models.DateTimeField()
    entry = models.UUIDField()

    class Meta:
        indexes = [models.Index(name="failed_attempt_newest", fields=["user", "-at"])]


class WayBack(models.Model):
    """A way back in for somebody who lost their factors, opened by another person; the token works once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="ways_back")
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    token_sha256 = models.CharField(max_length=64, unique=True)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="way_back_opened_by_another", condition=~models.Q(user=models.F("opened_by"))),
        ]


class RoleAsked(models.Model):
    """A role somebody asked for on a person's behalf, and what a third person said. Nobody approves their own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=40, choices=[(r.value, r.value) for r in Role])
    reason = models.TextField()
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


class SigningChallenge(models.Model):
    """What somebody was asked to sign: the record as shown, bound to them, for 120 seconds, once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    record = models.BinaryField()
    record_digest = models.CharField(max_length=64)
    content = models.BinaryField(default=b"")
    content_salt = models.BinaryField(default=b"")
    meaning = models.CharField(max_length=80)
    nonce = models.BinaryField()
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)


class SignatureEvidence(models.Model):
    """What an outsider needs to check a signature: the record as shown and the assertion over it, to the byte."""

    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, primary_key=True, related_name="evidence")
    record = models.BinaryField()
    nonce = models.BinaryField(null=True)
    credential = models.ForeignKey(Credential, null=True, on_delete=models.PROTECT, related_name="+")
    public_key = models.TextField(blank=True)
    client_data = models.BinaryField(null=True)
    authenticator_data = models.BinaryField(null=True)
    assertion = models.BinaryField(null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="signature_nonce_once", fields=["nonce"]),
            models.UniqueConstraint(name="signature_assertion_once", fields=["assertion"]),
        ]
