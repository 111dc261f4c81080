"""Records opened by break-glass: the window stands, the alarm goes with it, somebody else reviews (N10).

Rules
 * Of an opening only its end is written, once, beside its entry; whoever asks. It lasts an hour at most, and does not
   begin in times to come.
 * At commit an opening has its alarm: a line of the outbox that names it, to somebody other than who opened.
 * It is signed over this very record by whoever opened it.
 * A review is by another person, who held the role to review, after the opening was over.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import audit.services.sealed_text
from governance.migrations_sql import controls, ends_once, moves_by_entry, signed_row

HOLDS = """
CREATE FUNCTION care_loops_breakglass_holds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'ended_at' - 'ended_how' <> to_jsonb(OLD) - 'ended_at' - 'ended_how' THEN
        RAISE EXCEPTION 'of an opening only its end is written' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'INSERT' AND (NEW.ended_at IS NOT NULL OR NEW.until > NEW.opened_at + interval '60 minutes'
                             OR NEW.opened_at > clock_timestamp() + interval '5 minutes') THEN
        RAISE EXCEPTION 'an opening begins now and lasts an hour at most' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_breakglass_holds BEFORE INSERT OR UPDATE ON care_loops_breakglass
    FOR EACH ROW EXECUTE FUNCTION care_loops_breakglass_holds();
ALTER TABLE care_loops_breakglass ENABLE ALWAYS TRIGGER care_loops_breakglass_holds;

CREATE FUNCTION care_loops_breakglass_alarmed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_outbox o WHERE o.topic = 'break_glass.alarm'
          AND o.payload ->> 'opening' = NEW.id::text
          AND o.payload ->> 'to' <> NEW.opened_by_id::text
    ) THEN
        RAISE EXCEPTION 'record % was opened without an alarm', NEW.patient_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_breakglass_alarmed AFTER INSERT ON care_loops_breakglass
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_breakglass_alarmed();
ALTER TABLE care_loops_breakglass ENABLE ALWAYS TRIGGER care_loops_breakglass_alarmed;

CREATE FUNCTION care_loops_breakglass_reviewed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    opening record;
BEGIN
    SELECT b.opened_by_id, b.until, b.ended_at INTO opening FROM care_loops_breakglass b WHERE b.id = NEW.opening_id;
    IF NEW.reviewed_by_id = opening.opened_by_id THEN
        RAISE EXCEPTION 'nobody reviews their own break-glass' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.reviewed_at < least(opening.until, coalesce(opening.ended_at, opening.until)) THEN
        RAISE EXCEPTION 'an opening is reviewed when it is over' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM governance_roleheld h WHERE h.user_id = NEW.reviewed_by_id
          AND h.role IN ('compliance_officer', 'security_privacy_engineer')
          AND h.since <= NEW.reviewed_at AND (h.until IS NULL OR h.until > NEW.reviewed_at)
    ) THEN
        RAISE EXCEPTION 'who reviews break-glass holds the role to review' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM governance_invitation i WHERE i.accepted_by_id = NEW.reviewed_by_id
                 AND i.invited_by_id = opening.opened_by_id
                 AND i.role IN ('compliance_officer', 'security_privacy_engineer'))
       OR EXISTS (SELECT 1 FROM governance_roleasked a WHERE a.user_id = NEW.reviewed_by_id AND a.granted
                 AND opening.opened_by_id IN (a.asked_by_id, a.answered_by_id)
                 AND a.role IN ('compliance_officer', 'security_privacy_engineer')) THEN
        RAISE EXCEPTION 'who reviews break-glass was not chosen by who opened' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_breakglass_reviewed BEFORE INSERT ON care_loops_breakglassreview
    FOR EACH ROW EXECUTE FUNCTION care_loops_breakglass_reviewed();
ALTER TABLE care_loops_breakglassreview ENABLE ALWAYS TRIGGER care_loops_breakglass_reviewed;
"""
UNDONE = [f"DROP FUNCTION care_loops_breakglass_{name}() CASCADE" for name in ("holds", "alarmed", "reviewed")]


class Migration(migrations.Migration):
    """Tables and what holds them."""

    dependencies = [
        ("care_loops", "0016_suspended_stays"),
        ("governance", "0009_accounts_are_sealed"),
        ("audit", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BreakGlass",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("reason_code", models.CharField(max_length=40)),
                ("text", audit.services.sealed_text.SealedText(subject="patient_id")),
                ("client", models.CharField(blank=True, max_length=100)),
                ("session_sha256", models.CharField(max_length=64)),
                ("opened_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "ended_how",
                    models.CharField(
                        blank=True,
                        choices=[("by_owner", "by_owner"), ("time", "time"), ("session", "session")],
                        max_length=20,
                    ),
                ),
                ("entry", models.UUIDField()),
                (
                    "opened_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="openings", to="care_loops.patient"
                    ),
                ),
                (
                    "signature",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="governance.signature"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["opened_by", "-until"], name="glass_of_person")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("until__gt", models.F("opened_at"))), name="glass_has_a_window"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at__isnull", True), ("ended_how", "")),
                            models.Q(("ended_at__isnull", False), models.Q(("ended_how", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="glass_end_whole",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("patient", "opened_by"),
                        name="glass_open_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BreakGlassRead",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("what", models.CharField(max_length=120)),
                ("client", models.CharField(blank=True, max_length=100)),
                ("at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "opening",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="reads", to="care_loops.breakglass"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BreakGlassReview",
            fields=[
                (
                    "opening",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="review",
                        serialize=False,
                        to="care_loops.breakglass",
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("justified", "justified"),
                            ("not_justified", "not_justified"),
                            ("reported", "reported"),
                        ],
                        max_length=20,
                    ),
                ),
                ("text", audit.services.sealed_text.SealedText(subject="opening.patient_id")),
                ("reviewed_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "reviewed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        *controls(
            grows=["care_loops_breakglassread", "care_loops_breakglassreview"],
            moves={"care_loops_breakglass": ["ended_at", "ended_how"]},
        ),
        ends_once("care_loops_breakglass", "ended_at"),
        moves_by_entry("care_loops_breakglass", ["ended_at"], kinds=["break_glass.ended"], of="id"),
        signed_row("care_loops_breakglass", "access.break_glass", signer="opened_by_id", of=("id",)),
        migrations.RunSQL(sql=HOLDS, reverse_sql=UNDONE),
    ]
