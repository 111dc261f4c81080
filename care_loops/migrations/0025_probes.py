"""Probes: known-wrong proposals about people who do not exist, kept from every patient by the database (CLINICAL 4.3).

Rules
 * All of it only grows. A probe is about a probe person, who is synthetic by a check and no patient by a trigger, in
   either order; a probe and a recommendation never share a number.
 * A step and a decision are of a recommendation, which no probe is. No message and no line of the outbox names a probe
   or a person who does not exist, whoever writes it.
 * An answer is by whom the probe was placed for, signed over this very probe.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls, own_entry, signed_row

KEPT_APART = """
CREATE FUNCTION care_loops_no_probe() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named uuid[];
BEGIN
    IF TG_TABLE_NAME = 'care_loops_probe' THEN
        IF EXISTS (SELECT 1 FROM care_loops_loop l WHERE l.id = NEW.id)
           OR EXISTS (SELECT 1 FROM care_loops_patient p WHERE p.id = NEW.about_id) THEN
            RAISE EXCEPTION 'probe % is about a patient', NEW.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    ELSIF TG_TABLE_NAME = 'care_loops_probeperson' THEN
        IF EXISTS (SELECT 1 FROM care_loops_patient p WHERE p.id = NEW.id) THEN
            RAISE EXCEPTION '% is a patient', NEW.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    ELSIF TG_TABLE_NAME = 'care_loops_probeanswer' THEN
        IF NOT EXISTS (
            SELECT 1 FROM care_loops_probe p WHERE p.id = NEW.probe_id AND p.person_id = NEW.person_id
        ) THEN
            RAISE EXCEPTION 'probe % was placed for somebody else', NEW.probe_id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    ELSIF TG_TABLE_NAME IN ('care_loops_loop', 'care_loops_patient') THEN
        IF EXISTS (SELECT 1 FROM care_loops_probe p WHERE p.id = NEW.id)
           OR EXISTS (SELECT 1 FROM care_loops_probeperson p WHERE p.id = NEW.id) THEN
            RAISE EXCEPTION '% is a probe: no row of care has its number', NEW.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    SELECT array_agg(hit.parts[1]::uuid) INTO named FROM regexp_matches(
        lower(to_jsonb(NEW)::text), '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'g'
    ) AS hit(parts);
    IF EXISTS (SELECT 1 FROM care_loops_probe p WHERE p.id = ANY (named))
       OR EXISTS (SELECT 1 FROM care_loops_probeperson p WHERE p.id = ANY (named)) THEN
        RAISE EXCEPTION '% names a probe: nothing of it goes out', TG_TABLE_NAME USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
""" + "".join(
    f"""
CREATE TRIGGER {table}_no_probe BEFORE {when} ON {table}
    FOR EACH ROW EXECUTE FUNCTION care_loops_no_probe();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_probe;
"""
    for table, when in (
        ("care_loops_probe", "INSERT"),
        ("care_loops_probeperson", "INSERT"),
        ("care_loops_probeanswer", "INSERT"),
        ("care_loops_patient", "INSERT"),
        ("care_loops_loop", "INSERT"),
        ("care_loops_message", "INSERT"),
        ("audit_outbox", "INSERT OR UPDATE OF payload, topic"),
    )
)
GROWS = [f"care_loops_{name}" for name in ("proberule", "probeperson", "probe", "probeanswer")]


class Migration(migrations.Migration):
    """Four tables, their rights and their triggers."""

    dependencies = [
        ("audit", "0010_entry_asked_plainly"),
        ("care_loops", "0024_decide_first"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ProbeRule',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('library', models.CharField(max_length=40)),
                ('least_gap', models.PositiveSmallIntegerField()),
                ('most_gap', models.PositiveSmallIntegerField()),
                ('begun_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name='ProbePerson',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('synthetic', models.BooleanField(default=True)),
                ('given_name', models.CharField(max_length=60)),
                ('family_name', models.CharField(max_length=60)),
                ('sex', models.CharField(max_length=10)),
                ('born_on', models.DateField()),
                ('zone', models.CharField(max_length=60)),
                ('entry', models.UUIDField()),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('synthetic', True)), name='probe_person_is_synthetic')],
            },
        ),
        migrations.CreateModel(
            name='Probe',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('case', models.CharField(max_length=60)),
                ('library', models.CharField(max_length=40)),
                ('outcome', models.TextField()),
                ('digest', models.CharField(max_length=64)),
                ('model_name', models.CharField(max_length=80)),
                ('model_version', models.CharField(max_length=40)),
                ('opened_at', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('about', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='probe', to='care_loops.probeperson')),
            ],
        ),
        migrations.CreateModel(
            name='ProbeAnswer',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(max_length=40)),
                ('kind', models.CharField(choices=[('approve', 'approve'), ('modify', 'modify'), ('reject', 'reject')], max_length=10)),
                ('final_change', models.TextField()),
                ('reason_code', models.CharField(max_length=60)),
                ('free_text', models.TextField(blank=True)),
                ('noticed', models.BooleanField()),
                ('answered_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('probe', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='answer', to='care_loops.probe')),
                ('signature', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.signature')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('kind', 'approve'), ('noticed', False)), models.Q(models.Q(('kind', 'approve'), _negated=True), ('noticed', True)), _connector='OR'), name='probe_noticed_is_not_approved')],
            },
        ),
        migrations.AddConstraint(
            model_name='probe',
            constraint=models.UniqueConstraint(fields=('person', 'number'), name='probe_number_once'),
        ),

        signed_row("care_loops_probeanswer", "recommendation.answered", signer="person_id", of=("probe_id",)),
        own_entry("care_loops_probeanswer", "recommendation.answered", of="probe_id", person="person_id"),
        migrations.RunSQL(sql=KEPT_APART, reverse_sql="DROP FUNCTION care_loops_no_probe() CASCADE"),
        *controls(GROWS, {}),
    ]
