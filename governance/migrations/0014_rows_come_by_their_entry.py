"""A role, a credential, a session, an invitation come only with their own entry, and are answered only by one (N5).

Rules
 * An entry of something else, or of another transaction, brings no row: nobody lends themself a role by SQL.
 * What was asked for is answered, an invitation accepted and a way back used by their own entries alone.
"""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import comes_by_entry, comes_by_entry_function, moves_by_entry


class Migration(migrations.Migration):
    """Triggers."""

    dependencies = [("governance", "0013_findings_and_autonomy")]
    operations = [
        comes_by_entry_function(),
        comes_by_entry("governance_roleheld", "role.granted", of="user_id"),
        comes_by_entry("governance_credential", "credential.enrolled", of="id", person="user_id"),
        comes_by_entry("governance_credentialconfirmed", "credential.confirmed", of="credential_id"),
        comes_by_entry("governance_credentialrevoked", "credential.revoked", of="credential_id", person="by_id"),
        comes_by_entry("governance_invitation", "invitation.made", of="id", person="invited_by_id"),
        comes_by_entry("governance_roleasked", "approval.requested", of="id", person="asked_by_id"),
        comes_by_entry("governance_wayback", "return.opened", of="id", person="opened_by_id"),
        comes_by_entry("governance_signedin", "login.succeeded", of="id", person="user_id"),
        comes_by_entry("governance_oncallshift", "shift.added", of="id"),
        comes_by_entry("governance_shiftcover", "shift.covered", of="shift_id", person="user_id"),
        moves_by_entry(
            "governance_invitation",
            ["accepted_at", "accepted_by_id"],
            kinds=["invitation.accepted"],
            of="id",
            person="accepted_by_id",
        ),
        moves_by_entry(
            "governance_roleasked",
            ["answered_at", "answered_by_id", "granted"],
            kinds=["approval.given", "approval.refused"],
            of="id",
            person="answered_by_id",
        ),
        moves_by_entry("governance_signedin", ["ended_at", "end_reason"], kinds=["session.ended"], of="id"),
        moves_by_entry("governance_wayback", ["used_at"], kinds=["return.used"], of="id"),
    ]
