"""Signatures and policies only grow; roles and invitations end, and are never removed."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import controls


class Migration(migrations.Migration):
    """Rights and triggers of this app's tables."""

    dependencies = [("governance", "0001_initial"), ("audit", "0001_initial")]
    operations = controls(
        grows=["governance_signature", "governance_policyversion"],
        moves={
            "governance_roleheld": ["until"],
            "governance_invitation": ["accepted_by_id", "accepted_at"],
        },
    )
