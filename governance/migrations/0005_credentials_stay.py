"""Credentials, their confirmation and their end only grow; sessions, codes and challenges end once; counters move."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import controls, ends_once, no_deletion, only_grows, rights


class Migration(migrations.Migration):
    """Rights and triggers of the tables of recognising people."""

    dependencies = [("governance", "0004_credentials"), ("audit", "0001_initial")]
    operations = [
        *controls(
            grows=[
                "governance_credential",
                "governance_credentialconfirmed",
                "governance_credentialrevoked",
                "governance_failedattempt",
                "governance_signatureevidence",
            ],
            moves={
                "governance_signedin": ["seen_at", "ended_at", "end_reason"],
                "governance_wayback": ["used_at"],
                "governance_roleasked": ["answered_by_id", "answered_at", "granted"],
            },
        ),
        rights(
            {
                "governance_credentialuse": ["sign_count", "last_step", "used_at"],
                "governance_recoverycode": ["used_at"],
                "governance_signingchallenge": ["used_at"],
                "governance_tokenunder": [],
            }
        ),
        only_grows("governance_tokenunder"),
        no_deletion("governance_credentialuse"),
        no_deletion("governance_recoverycode"),
        no_deletion("governance_signingchallenge"),
        ends_once("governance_signedin", "ended_at"),
        ends_once("governance_recoverycode", "used_at"),
        ends_once("governance_wayback", "used_at"),
        ends_once("governance_signingchallenge", "used_at"),
        ends_once("governance_roleasked", "answered_at"),
    ]
