"""Signatures with their evidence, and policies in force.

Rules
 * A signature and a policy version are only ever added (REVOKE and triggers in the migration).
 * A policy in force is the newest version whose `effective_from` has come; an absent one is absent, never a default.
"""

from __future__ import annotations

import uuid

from django.db import models

from .accounts import User
from .credentials import Credential


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
    # None in rows of before a quorum was asked for (decision 74).
    motion = models.OneToOneField("governance.Motion", on_delete=models.PROTECT, related_name="version", null=True)
    entry = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="policy_version_once", fields=["kind", "subject", "version"]),
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
