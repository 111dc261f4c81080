"""Motions and approvals: nobody approves their own, nothing counts but under a role held, nothing ends but by its entry.

Rules (GOV-04, N7; REGULATORY 11.10(g); decision 73)
 * A motion's words are its digest's; it stands as long as its rule says; one is open for a subject at a time.
 * An approval is for the digest as it was put, while the motion is open, by somebody other than its author who holds the
   role now and whom the rule asks for; signed over this very motion.
 * `governance_quorum_met` counts people per seat, by the rule of the motion and by the least that is asked anywhere (the
   floor below: a test compares it with `data/quorum_rules.json`). What has no floor is never met.
 * Only a met quorum is carried out, once, before its time has run out. Every end is beside its entry.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls, moves_by_entry, signed_row

QUORUM = r"""
CREATE FUNCTION governance_motion_says() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    put jsonb := NEW.said::jsonb;
BEGIN
    IF NEW.digest <> encode(sha256(convert_to(NEW.said, 'UTF8')), 'hex') OR NEW.ended <> ''
       OR put ->> 'motion' <> NEW.id::text OR put ->> 'act' <> NEW.act OR put ->> 'of' <> NEW.of
       OR put ->> 'subject' <> NEW.subject OR put ->> 'author' <> NEW.author_id::text
       OR put #>> '{rule,act}' <> NEW.act OR put #>> '{rule,of}' <> NEW.of
       OR NEW.expires_at <> NEW.asked_at + make_interval(secs => (put #>> '{rule,lives_seconds}')::int)
    THEN
        RAISE EXCEPTION 'motion % is not what it says', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_motion_says BEFORE INSERT ON governance_motion
    FOR EACH ROW EXECUTE FUNCTION governance_motion_says();
ALTER TABLE governance_motion ENABLE ALWAYS TRIGGER governance_motion_says;

CREATE FUNCTION governance_quorum_met(asked uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    put record;
    met boolean;
BEGIN
    SELECT * INTO put FROM governance_motion WHERE id = asked;
    IF NOT FOUND OR put.ended NOT IN ('', 'carried_out') THEN
        RETURN false;
    END IF;
    WITH floor (act, of, roles, needed) AS (VALUES
        ('policy', 'operating_mode', 'clinician', 1),
        ('policy', 'operating_mode', 'pharmacist', 1),
        ('policy', 'tier_policy', 'clinician', 1),
        ('policy', 'tier_policy', 'pharmacist', 1),
        ('policy', 'guardrail_tables', 'clinician', 1),
        ('policy', 'guardrail_tables', 'pharmacist', 1),
        ('policy', 'targets', 'clinician', 1),
        ('policy', 'targets', 'pharmacist', 1),
        ('policy', 'approval_thresholds', 'clinician', 1),
        ('policy', 'approval_thresholds', 'pharmacist', 1),
        ('policy', 'operating_mode.stop', '', 0),
        ('policy', 'gate_thresholds', 'clinician', 1),
        ('policy', 'gate_thresholds', 'responsible_ai_lead', 1),
        ('policy', 'quorum_rules', 'clinician', 1),
        ('policy', 'quorum_rules', 'auditor compliance_officer', 1),
        ('boundary', '', 'pharmacist', 1),
        ('model', '', 'clinician ml_engineer pharmacist responsible_ai_lead', 2),
        ('key', '', 'administrator security_privacy_engineer', 1),
        ('key', '', 'auditor compliance_officer', 1),
        ('finding', '', 'auditor compliance_officer', 1),
        ('finding', '', 'clinician pharmacist', 1)
    ), seats AS (
        SELECT string_to_array(roles, ' ') AS roles, needed FROM floor WHERE floor.act = put.act AND floor.of = put.of
        UNION ALL
        SELECT ARRAY(SELECT jsonb_array_elements_text(seat -> 'roles')), (seat ->> 'count')::int
            FROM jsonb_array_elements(put.said::jsonb #> '{rule,seats}') AS seat
    )
    SELECT EXISTS (SELECT 1 FROM floor WHERE floor.act = put.act AND floor.of = put.of) AND NOT EXISTS (
        SELECT 1 FROM seats WHERE seats.needed > (
            SELECT count(DISTINCT a.approver_id) FROM governance_approval a
            WHERE a.motion_id = put.id AND a.digest = put.digest AND a.approver_id <> put.author_id
              AND a.role = ANY (seats.roles) AND EXISTS (
                SELECT 1 FROM governance_roleheld h
                WHERE h.user_id = a.approver_id AND h.role = a.role AND h.until IS NULL
            )
        )
    ) INTO met;
    RETURN met;
END $$;

CREATE FUNCTION governance_approval_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    put record;
BEGIN
    SELECT * INTO put FROM governance_motion WHERE id = NEW.motion_id;
    IF NOT FOUND OR put.ended <> '' OR NEW.digest <> put.digest OR NEW.subject <> put.subject
       OR NEW.author_id <> put.author_id OR NEW.approver_id = put.author_id
       OR NEW.approved_at < put.asked_at OR NEW.approved_at >= put.expires_at
       OR NOT EXISTS (
            SELECT 1 FROM governance_roleheld h
            WHERE h.user_id = NEW.approver_id AND h.role = NEW.role AND h.until IS NULL
       ) OR NOT EXISTS (
            SELECT 1 FROM jsonb_array_elements(put.said::jsonb #> '{rule,seats}') AS seat
            WHERE seat -> 'roles' ? NEW.role
       )
    THEN
        RAISE EXCEPTION 'this approval of motion % does not count', NEW.motion_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_approval_counts BEFORE INSERT ON governance_approval
    FOR EACH ROW EXECUTE FUNCTION governance_approval_counts();
ALTER TABLE governance_approval ENABLE ALWAYS TRIGGER governance_approval_counts;

CREATE FUNCTION governance_motion_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended <> '' OR NEW.ended = '' OR NEW.ended_at < OLD.asked_at THEN
        RAISE EXCEPTION 'motion % ends once', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.ended = 'carried_out' AND (NEW.ended_at >= OLD.expires_at OR NOT governance_quorum_met(OLD.id)) THEN
        RAISE EXCEPTION 'motion % has no quorum', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.ended = 'expired' AND NEW.ended_at < OLD.expires_at THEN
        RAISE EXCEPTION 'motion % has not expired', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_motion_ends BEFORE UPDATE ON governance_motion
    FOR EACH ROW EXECUTE FUNCTION governance_motion_ends();
ALTER TABLE governance_motion ENABLE ALWAYS TRIGGER governance_motion_ends;
"""
_ACTS = ["boundary", "finding", "key", "model", "policy"]
_ENDED = ["carried_out", "expired", "refused", "void", "withdrawn"]
_COLUMNS = ["ended", "ended_at", "ended_by_id", "ended_reason"]
_KINDS = ["approval.carried_out", "approval.expired", "approval.refused", "approval.voided", "approval.withdrawn"]


def _to(model: str, related: str = "+", **more: object) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name=related, to=model, **more)


def _one(model: str, related: str = "+", **more: object) -> models.OneToOneField:
    return models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name=related, to=model, **more)


class Migration(migrations.Migration):
    """Two tables, and what holds them."""

    dependencies = [("governance", "0009_accounts_are_sealed"), ("audit", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Motion",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("act", models.CharField(choices=[(a, a) for a in ["policy", "boundary", "model", "key", "finding"]], max_length=20)),
                ("of", models.CharField(blank=True, max_length=60)),
                ("subject", models.CharField(max_length=160)),
                ("said", models.TextField()),
                ("digest", models.CharField(max_length=64)),
                ("asked_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("ended", models.CharField(blank=True, max_length=20)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_reason", models.CharField(blank=True, max_length=500)),
                ("entry", models.UUIDField()),
                ("author", _to(settings.AUTH_USER_MODEL)),
                ("ended_by", _to(settings.AUTH_USER_MODEL, blank=True, null=True)),
                ("signature", _one("governance.signature")),
            ],
        ),
        migrations.CreateModel(
            name="Approval",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("subject", models.CharField(max_length=160)),
                ("digest", models.CharField(max_length=64)),
                ("role", models.CharField(max_length=40)),
                ("approved_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                ("approver", _to(settings.AUTH_USER_MODEL)),
                ("author", _to(settings.AUTH_USER_MODEL)),
                ("signature", _one("governance.signature")),
                ("motion", _to("governance.motion", "approvals")),
            ],
        ),
        migrations.AddField("policyversion", "motion", _one("governance.motion", "version", null=True)),
        migrations.AddIndex("motion", models.Index(fields=["subject", "-asked_at"], name="motion_newest")),
        migrations.AddConstraint(
            "motion",
            models.UniqueConstraint(condition=models.Q(ended=""), fields=["subject"], name="motion_one_open"),
        ),
        migrations.AddConstraint(
            "motion", models.CheckConstraint(condition=models.Q(act__in=_ACTS), name="motion_act_known")
        ),
        migrations.AddConstraint(
            "motion",
            models.CheckConstraint(
                condition=models.Q(ended="", ended_at__isnull=True)
                | models.Q(ended__in=_ENDED, ended_at__isnull=False),
                name="motion_end_whole",
            ),
        ),
        migrations.AddConstraint(
            "approval", models.UniqueConstraint(fields=["subject", "digest", "approver"], name="approval_once")
        ),
        migrations.AddConstraint(
            "approval",
            models.CheckConstraint(condition=~models.Q(approver=models.F("author")), name="approval_by_another"),
        ),
        *controls(grows=["governance_approval"], moves={"governance_motion": _COLUMNS}),
        migrations.RunSQL(
            sql=QUORUM,
            reverse_sql=[
                "DROP FUNCTION governance_motion_says() CASCADE",
                "DROP FUNCTION governance_approval_counts() CASCADE",
                "DROP FUNCTION governance_motion_ends() CASCADE",
                "DROP FUNCTION governance_quorum_met(uuid) CASCADE",
            ],
        ),
        moves_by_entry("governance_motion", _COLUMNS, kinds=_KINDS, of="id"),
        signed_row("governance_motion", "approval.requested", signer="author_id", of=("id",)),
        signed_row("governance_approval", "approval.given", signer="approver_id", of=("motion_id",)),
    ]
