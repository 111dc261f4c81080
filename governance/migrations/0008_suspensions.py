"""A suspension is begun by its own entry, and ends by somebody else's signature: held by the database too (FAL-03).

Rules
 * Rows are only added. Each rests on an entry of the same transaction, about it, by the person it names; where it names
   nobody, by a job. A device or a model begins nothing, and nobody but a person ends anything.
 * Who ended it is not who began it. A thrown kill switch needs a second such person, who asked for it before, signed.
 * `governance_stopped(scopes, names)` is what every other rule of the database asks; it remembers nothing.
"""

from __future__ import annotations

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


from governance.migrations_sql import controls, own_entry, own_entry_function, signed_row

STOPPED = """
CREATE FUNCTION governance_stopped(scopes text[], names text[]) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT s.id FROM governance_suspension s
    WHERE NOT EXISTS (SELECT 1 FROM governance_suspensionend e WHERE e.suspension_id = s.id)
      AND EXISTS (SELECT 1 FROM unnest(scopes, names) AS t(scope, name) WHERE t.scope = s.scope AND t.name = s.name)
    LIMIT 1
$$;
"""

ENDED_BY_ANOTHER = """
CREATE FUNCTION governance_suspension_ends() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    begun governance_suspension%ROWTYPE;
    second governance_suspensionendasked%ROWTYPE;
BEGIN
    SELECT * INTO STRICT begun FROM governance_suspension WHERE id = NEW.suspension_id;
    SELECT * INTO second FROM governance_suspensionendasked WHERE id = NEW.asked_id;
    IF NEW.began_by_id IS DISTINCT FROM begun.began_by_id OR NEW.ended_by_id = begun.began_by_id
       OR begun.cause = 'kill_switch' AND NEW.asked_id IS NULL
       OR NEW.asked_id IS NOT NULL AND (second.suspension_id <> begun.id OR second.asked_by_id = NEW.ended_by_id
            OR second.asked_by_id = begun.began_by_id) THEN
        RAISE EXCEPTION 'suspension % is not ended by those who may', NEW.suspension_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_suspension_ends BEFORE INSERT ON governance_suspensionend
    FOR EACH ROW EXECUTE FUNCTION governance_suspension_ends();
ALTER TABLE governance_suspensionend ENABLE ALWAYS TRIGGER governance_suspension_ends;

CREATE FUNCTION governance_suspension_end_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM governance_suspension s WHERE s.id = NEW.suspension_id AND s.began_by_id = NEW.asked_by_id)
    THEN
        RAISE EXCEPTION 'who began suspension % does not ask for its end', NEW.suspension_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_suspension_end_asked BEFORE INSERT ON governance_suspensionendasked
    FOR EACH ROW EXECUTE FUNCTION governance_suspension_end_asked();
ALTER TABLE governance_suspensionendasked ENABLE ALWAYS TRIGGER governance_suspension_end_asked;
"""


class Migration(migrations.Migration):
    """The tables."""

    dependencies = [
        ('governance', '0007_signed_by_evidence'),
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Suspension',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('scope', models.CharField(choices=[('everything', 'everything'), ('pathway', 'pathway'), ('model', 'model'), ('boundary', 'boundary'), ('device_type', 'device_type'), ('cohort', 'cohort')], max_length=20)),
                ('name', models.CharField(blank=True, max_length=160)),
                ('cause', models.CharField(choices=[('finding', 'finding'), ('kill_switch', 'kill_switch'), ('automatic_rule', 'automatic_rule')], max_length=20)),
                ('cause_ref', models.CharField(blank=True, max_length=80)),
                ('reason', models.TextField()),
                ('began_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('began_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='SuspensionEndAsked',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(max_length=40)),
                ('reason', models.TextField()),
                ('asked_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('signature', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.signature')),
                ('suspension', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='asked', to='governance.suspension')),
            ],
        ),
        migrations.CreateModel(
            name='SuspensionEnd',
            fields=[
                ('suspension', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='end', serialize=False, to='governance.suspension')),
                ('role', models.CharField(max_length=40)),
                ('reason', models.TextField()),
                ('ended_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('asked', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.suspensionendasked')),
                ('began_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('ended_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('signature', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.signature')),
            ],
        ),
        migrations.AddIndex(
            model_name='suspension',
            index=models.Index(fields=['scope', 'name'], name='suspension_by_thing'),
        ),
        migrations.AddConstraint(
            model_name='suspension',
            constraint=models.CheckConstraint(condition=models.Q(('scope__in', ['everything', 'pathway', 'model', 'boundary', 'device_type', 'cohort'])), name='suspension_scope_known'),
        ),
        migrations.AddConstraint(
            model_name='suspension',
            constraint=models.CheckConstraint(condition=models.Q(('cause__in', ['finding', 'kill_switch', 'automatic_rule'])), name='suspension_cause_known'),
        ),
        migrations.AddConstraint(
            model_name='suspension',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('name', ''), ('scope', 'everything')), models.Q(models.Q(('scope', 'everything'), _negated=True), models.Q(('name', ''), _negated=True)), _connector='OR'), name='suspension_names_one_thing'),
        ),
        migrations.AddConstraint(
            model_name='suspension',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('began_by__isnull', False), ('cause', 'kill_switch')), models.Q(models.Q(('cause', 'kill_switch'), _negated=True), models.Q(('cause_ref', ''), _negated=True)), _connector='OR'), name='suspension_says_its_cause'),
        ),
        migrations.AddConstraint(
            model_name='suspension',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='suspension_has_a_reason'),
        ),
        migrations.AddConstraint(
            model_name='suspensionendasked',
            constraint=models.UniqueConstraint(fields=('suspension', 'asked_by'), name='suspension_end_asked_once'),
        ),
        migrations.AddConstraint(
            model_name='suspensionend',
            constraint=models.CheckConstraint(condition=models.Q(('began_by__isnull', True), models.Q(('began_by', models.F('ended_by')), _negated=True), _connector='OR'), name='suspension_ended_by_another'),
        ),
        *controls(
            grows=["governance_suspension", "governance_suspensionendasked", "governance_suspensionend"], moves={}
        ),
        own_entry_function(),
        own_entry("governance_suspension", "suspension.set", of="id", person="began_by_id"),
        own_entry(
            "governance_suspensionendasked", "suspension.end_asked", of="suspension_id", person="asked_by_id"
        ),
        own_entry("governance_suspensionend", "suspension.lifted", of="suspension_id", person="ended_by_id"),
        signed_row(
            "governance_suspensionendasked", "suspension.end_asked", signer="asked_by_id", of=("suspension_id",)
        ),
        signed_row("governance_suspensionend", "suspension.lifted", signer="ended_by_id", of=("suspension_id",)),
        migrations.RunSQL(sql=STOPPED, reverse_sql="DROP FUNCTION governance_stopped(text[], text[])"),
        migrations.RunSQL(
            sql=ENDED_BY_ANOTHER,
            reverse_sql="DROP FUNCTION governance_suspension_ends() CASCADE;"
            " DROP FUNCTION governance_suspension_end_asked() CASCADE",
        ),
    ]
