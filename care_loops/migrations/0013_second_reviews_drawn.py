"""Decisions drawn for a second reading: what the database itself holds of it (CLI-15, CLINICAL 4.3).

Rules
 * All of these only grow, name their entry (N5), and seeds, draws, readings and verdicts name an entry of their own, of
   the same transaction and time: no seed is dated back.
 * Who decided is who the decision says; who reads it a second time is somebody else, and reads only what was drawn.
"""

from __future__ import annotations

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls

OF_ANOTHER = """
CREATE FUNCTION care_loops_reviewed_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'care_loops_secondreview' THEN
        IF NOT EXISTS (
            SELECT 1 FROM care_loops_decision d WHERE d.id = NEW.decision_id AND d.decided_by_id = NEW.decided_by_id
        ) THEN
            RAISE EXCEPTION 'review % names another decider than its decision', NEW.id USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NOT EXISTS (
        SELECT 1 FROM care_loops_secondreview r
        WHERE r.id = NEW.review_id AND r.drawn AND r.decided_by_id = NEW.decided_by_id
          AND r.decided_by_id <> NEW.reader_id
    ) THEN
        RAISE EXCEPTION 'reading % is of a decision that was not drawn, or by who decided it', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_loops_review_of_another BEFORE INSERT ON care_loops_secondreview
    FOR EACH ROW EXECUTE FUNCTION care_loops_reviewed_by_another();
CREATE TRIGGER care_loops_reading_by_another BEFORE INSERT ON care_loops_secondreading
    FOR EACH ROW EXECUTE FUNCTION care_loops_reviewed_by_another();
ALTER TABLE care_loops_secondreview ENABLE ALWAYS TRIGGER care_loops_review_of_another;
ALTER TABLE care_loops_secondreading ENABLE ALWAYS TRIGGER care_loops_reading_by_another;
"""
OWN = {
    "reviewseed": ("review_seed", "made_at"),
    "reviewdraw": ("review_draw", "drawn_at"),
    "secondreading": ("second_reading", "read_at"),
    "secondverdict": ("second_verdict", "said_at"),
}
OWN_ENTRIES = "".join(
    f"""
CREATE CONSTRAINT TRIGGER care_loops_{table}_own_entry AFTER INSERT ON care_loops_{table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION care_loops_own_entry('{kind}', 'id', '{at}');
ALTER TABLE care_loops_{table} ENABLE ALWAYS TRIGGER care_loops_{table}_own_entry;
"""
    for table, (kind, at) in OWN.items()
)
UNDO_OWN = "".join(f"DROP TRIGGER care_loops_{table}_own_entry ON care_loops_{table};" for table in OWN)
GROWS = [f"care_loops_{name}" for name in (*OWN, "secondreview")]


class Migration(migrations.Migration):
    """Five tables, their rights and their triggers."""

    dependencies = [
        ("care_loops", "0012_samples_expire"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ReviewSeed",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("seed", models.CharField(max_length=64)),
                ("rules", models.CharField(max_length=40)),
                ("made_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name="ReviewDraw",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("population", models.PositiveIntegerField()),
                ("population_sha256", models.CharField(max_length=64)),
                ("drawn", models.PositiveIntegerField()),
                ("drawn_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "seed",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="draw", to="care_loops.reviewseed"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SecondReview",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "marks",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=30), default=list, size=None
                    ),
                ),
                ("tickets", models.PositiveIntegerField()),
                ("drawn", models.BooleanField()),
                ("entry", models.UUIDField()),
                (
                    "decided_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "decision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="second_review",
                        to="care_loops.decision",
                    ),
                ),
                (
                    "draw",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="considered",
                        to="care_loops.reviewdraw",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SecondReading",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("approve", "approve"), ("modify", "modify"), ("reject", "reject")], max_length=10
                    ),
                ),
                ("reason_code", models.CharField(max_length=60)),
                ("free_text", models.TextField(blank=True)),
                ("read_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "decided_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "reader",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "review",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reading",
                        to="care_loops.secondreview",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SecondVerdict",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "verdict",
                    models.CharField(
                        choices=[("agree", "agree"), ("disagree", "disagree"), ("concern", "concern")], max_length=10
                    ),
                ),
                ("reason_code", models.CharField(blank=True, max_length=60)),
                ("free_text", models.TextField(blank=True)),
                ("said_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "reading",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="verdict",
                        to="care_loops.secondreading",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="secondreview",
            index=models.Index(condition=models.Q(("drawn", True)), fields=["drawn"], name="review_drawn"),
        ),
        migrations.AddConstraint(
            model_name="secondreading",
            constraint=models.CheckConstraint(
                condition=models.Q(("reader", models.F("decided_by")), _negated=True), name="second_reading_by_another"
            ),
        ),
        migrations.AddConstraint(
            model_name="secondverdict",
            constraint=models.CheckConstraint(
                condition=models.Q(("verdict", "agree"), models.Q(("reason_code", ""), _negated=True), _connector="OR"),
                name="second_verdict_says_why",
            ),
        ),
        migrations.RunSQL(sql=OF_ANOTHER, reverse_sql="DROP FUNCTION care_loops_reviewed_by_another() CASCADE"),
        migrations.RunSQL(sql=OWN_ENTRIES, reverse_sql=UNDO_OWN),
        *controls(GROWS, {}),
    ]
