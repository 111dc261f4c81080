"""Alert limits per patient, visits held, reminders, and how far an import came.

Rules
 * All of these only grow, and name their entry (N5).
 * Alert limits and visits name their own entry, written in the same transaction and at the same time as they say: none
   is dated back, and none stands under the entry of something else (HTN-06, HTN-07).
 * A version of alert limits follows the version before it, is not older than it, and is signed by who signed it.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls

OWN_ENTRY = """
CREATE FUNCTION care_loops_own_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := to_jsonb(NEW);
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_objectversion v JOIN audit_pending p ON p.entry_id = v.entry_id
        WHERE v.object_type = TG_ARGV[0] AND v.object_id = said ->> TG_ARGV[1] AND v.entry_id = NEW.entry
          AND v.version = coalesce((said ->> 'version')::bigint, 1) AND p.txid = pg_current_xact_id()
          AND (split_part(convert_from(p.leaf, 'UTF8'), E'\\n', 3)::jsonb ->> 'occurred_at')::timestamptz
              = (said ->> TG_ARGV[2])::timestamptz
    ) THEN
        RAISE EXCEPTION '% % names an entry that is not its own, or another time than it', TG_TABLE_NAME, NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER care_loops_limits_own_entry AFTER INSERT ON care_loops_alertlimits
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION care_loops_own_entry('alert_limits', 'patient_id', 'signed_at');
CREATE CONSTRAINT TRIGGER care_loops_visit_own_entry AFTER INSERT ON care_loops_visit
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION care_loops_own_entry('visit', 'id', 'recorded_at');
CREATE CONSTRAINT TRIGGER care_loops_reminder_own_entry AFTER INSERT ON care_loops_reminder
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION care_loops_own_entry('reminder', 'id', 'sent_at');
ALTER TABLE care_loops_alertlimits ENABLE ALWAYS TRIGGER care_loops_limits_own_entry;
ALTER TABLE care_loops_visit ENABLE ALWAYS TRIGGER care_loops_visit_own_entry;
ALTER TABLE care_loops_reminder ENABLE ALWAYS TRIGGER care_loops_reminder_own_entry;
"""

LIMITS_FOLLOW = """
CREATE FUNCTION care_loops_limits_follow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest integer := 0;
    signed timestamptz;
BEGIN
    SELECT l.version, l.signed_at INTO newest, signed FROM care_loops_alertlimits l
        WHERE l.patient_id = NEW.patient_id ORDER BY l.version DESC LIMIT 1;
    IF NEW.version <> coalesce(newest, 0) + 1 OR NEW.signed_at < signed THEN
        RAISE EXCEPTION 'alert limits % of patient % do not follow version %', NEW.version, NEW.patient_id, newest
            USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM governance_signature g WHERE g.id = NEW.signature_id AND g.signer_id = NEW.signed_by_id
          AND g.signed_at = NEW.signed_at
    ) THEN
        RAISE EXCEPTION 'alert limits % of patient % are not signed by who is named', NEW.version, NEW.patient_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_limits_follow BEFORE INSERT ON care_loops_alertlimits
    FOR EACH ROW EXECUTE FUNCTION care_loops_limits_follow();
ALTER TABLE care_loops_alertlimits ENABLE ALWAYS TRIGGER care_loops_limits_follow;
"""

GROWS = [f"care_loops_{name}" for name in ("alertlimits", "visit", "reminder", "importrun", "importstage")]


class Migration(migrations.Migration):
    """Five tables, their rights and their triggers."""

    dependencies = [
        ("care_loops", "0007_alerts_say_their_evidence"),
        ("governance", "0003_ends_once"),
        ("audit", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportRun",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("source_system", models.CharField(max_length=200)),
                ("input_sha256", models.CharField(max_length=64)),
                ("started_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name="AlertLimits",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("crisis_systolic", models.DecimalField(decimal_places=1, max_digits=5, null=True)),
                ("crisis_diastolic", models.DecimalField(decimal_places=1, max_digits=5, null=True)),
                ("low_systolic", models.DecimalField(decimal_places=1, max_digits=5, null=True)),
                ("low_diastolic", models.DecimalField(decimal_places=1, max_digits=5, null=True)),
                ("slow_pulse", models.DecimalField(decimal_places=1, max_digits=5, null=True)),
                ("fast_pulse", models.DecimalField(decimal_places=1, max_digits=5, null=True)),
                ("signed_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="alert_limits",
                        to="care_loops.patient",
                    ),
                ),
                (
                    "signature",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="governance.signature"
                    ),
                ),
                (
                    "signed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("patient", "version"), name="alert_limits_version_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("low_systolic__lt", models.F("crisis_systolic")),
                            ("low_diastolic__lt", models.F("crisis_diastolic")),
                            ("slow_pulse__lt", models.F("fast_pulse")),
                        ),
                        name="alert_limits_low_under_high",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportStage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("read", "read"),
                            ("mapped", "mapped"),
                            ("quarantined", "quarantined"),
                            ("patient", "patient"),
                            ("finished", "finished"),
                        ],
                        max_length=20,
                    ),
                ),
                ("place", models.PositiveIntegerField()),
                ("counts", models.JSONField()),
                ("done_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="stages", to="care_loops.importrun"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("run", "stage", "place"), name="import_stage_once")],
            },
        ),
        migrations.CreateModel(
            name="Reminder",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("visit", "visit"), ("measure", "measure")], max_length=10)),
                ("about", models.CharField(max_length=60)),
                ("due_on", models.DateField()),
                ("sent_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="reminders", to="care_loops.patient"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("patient", "kind", "about"), name="reminder_once")],
            },
        ),
        migrations.CreateModel(
            name="Visit",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("held", "held"), ("not_held", "not_held"), ("cancelled", "cancelled")], max_length=10
                    ),
                ),
                ("on_day", models.DateField()),
                ("diet", models.TextField(blank=True)),
                ("activity", models.TextField(blank=True)),
                ("sleep", models.TextField(blank=True)),
                ("stress", models.TextField(blank=True)),
                ("note", models.TextField(blank=True)),
                ("recorded_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="visits", to="care_loops.patient"
                    ),
                ),
                (
                    "plan",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="visit",
                        to="care_loops.visitplan",
                    ),
                ),
                (
                    "recorded_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome", "held"), ("plan__isnull", False), _connector="OR"),
                        name="visit_not_held_was_planned",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("outcome", "held")),
                        fields=("patient", "on_day"),
                        name="visit_held_once_a_day",
                    ),
                ],
            },
        ),
        *controls(grows=GROWS, moves={}),
        migrations.RunSQL(sql=OWN_ENTRY, reverse_sql="DROP FUNCTION care_loops_own_entry() CASCADE"),
        migrations.RunSQL(sql=LIMITS_FOLLOW, reverse_sql="DROP FUNCTION care_loops_limits_follow() CASCADE"),
    ]
