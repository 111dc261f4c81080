"""What people are recognised by, and how they came in. A credential is only ever added; what ends it is a row too."""

from __future__ import annotations

import uuid

from django.db import models

from audit.services.sealed_text import SealedText

from ..domain import Method
from .accounts import User


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
    reason = SealedText(subject="user_id")
    token_sha256 = models.CharField(max_length=64, unique=True)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="way_back_opened_by_another", condition=~models.Q(user=models.F("opened_by"))),
        ]
