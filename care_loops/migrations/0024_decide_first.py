"""Deciding first: which proposals were drawn, and what was answered before they were shown (CLINICAL 4.3).

Rules
 * All of it only grows. Only a proposal is drawn, and not one that is decided.
 * An answer is of a drawn proposal, by who its entry says, and comes before the decision.
 * A decision on a drawn proposal is refused while its decider has not answered, whoever writes it.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls, own_entry

HELD = """
CREATE FUNCTION care_loops_decided_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'care_loops_decision' THEN
        IF EXISTS (SELECT 1 FROM care_loops_decidefirst f WHERE f.loop_id = NEW.loop_id) AND NOT EXISTS (
            SELECT 1 FROM care_loops_firstanswer a
            WHERE a.loop_id = NEW.loop_id AND a.person_id = NEW.decided_by_id AND a.said_at <= NEW.decided_at
        ) THEN
            RAISE EXCEPTION 'decision of %: its decider has not said first what they would do', NEW.loop_id
                USING ERRCODE = 'check_violation';
        END IF;
    ELSIF EXISTS (SELECT 1 FROM care_loops_decision d WHERE d.loop_id = NEW.loop_id) THEN
        RAISE EXCEPTION '% is decided: nothing comes first any more', NEW.loop_id USING ERRCODE = 'check_violation';
    ELSIF TG_TABLE_NAME = 'care_loops_decidefirst' THEN
        IF NOT EXISTS (SELECT 1 FROM care_loops_loop l WHERE l.id = NEW.loop_id AND l.origin = 'proposal') THEN
            RAISE EXCEPTION '% is no proposal', NEW.loop_id USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NOT EXISTS (SELECT 1 FROM care_loops_decidefirst f WHERE f.loop_id = NEW.loop_id) THEN
        RAISE EXCEPTION '% was not drawn', NEW.loop_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
""" + "".join(
    f"""
CREATE TRIGGER care_loops_{table}_first BEFORE INSERT ON care_loops_{table}
    FOR EACH ROW EXECUTE FUNCTION care_loops_decided_first();
ALTER TABLE care_loops_{table} ENABLE ALWAYS TRIGGER care_loops_{table}_first;
"""
    for table in ("decision", "decidefirst", "firstanswer")
)
GROWS = ["care_loops_firstrule", "care_loops_decidefirst", "care_loops_firstanswer"]


class Migration(migrations.Migration):
    """Three tables, their rights and their triggers."""

    dependencies = [
        ("care_loops", "0023_looks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="FirstRule",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("rules", models.CharField(max_length=40)),
                ("permille", models.PositiveSmallIntegerField()),
                ("begun_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name="DecideFirst",
            fields=[
                (
                    "loop",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="decide_first",
                        serialize=False,
                        to="care_loops.loop",
                    ),
                ),
                ("entry", models.UUIDField()),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="drawn", to="care_loops.firstrule"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="FirstAnswer",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("answer", models.CharField(max_length=120)),
                (
                    "amounts_to",
                    models.CharField(
                        choices=[("approve", "approve"), ("modify", "modify"), ("reject", "reject")], max_length=10
                    ),
                ),
                ("free_text", models.TextField(blank=True)),
                ("said_at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "loop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="first_answers",
                        to="care_loops.loop",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="firstanswer",
            constraint=models.UniqueConstraint(fields=("loop", "person"), name="first_answer_once"),
        ),
        own_entry("care_loops_firstanswer", "decide_first.answered", of="id", person="person_id"),
        migrations.RunSQL(sql=HELD, reverse_sql="DROP FUNCTION care_loops_decided_first() CASCADE"),
        *controls(GROWS, {}),
    ]
