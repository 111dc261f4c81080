"""Findings, incidents and autonomy: rows only grow, closing takes another person, nothing but a signed gate raises.

Rules
 * A finding moves along its way, one event after the other; who checks or closes it does not own it and did not record
   its action; a critical one is closed by another person than who checked it.
 * A suspension because of a finding does not end while the finding is not closed.
 * A step of a ladder follows the one before it. A step up names a gate over this very cell that two people with
   different roles signed; a step down names a rule.
"""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


from governance.migrations_sql import controls, own_entry, signed_row

FINDINGS = """
CREATE FUNCTION governance_finding_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before varchar := '';
    last_seq integer := 0;
    grave boolean;
BEGIN
    SELECT e.state, e.seq INTO before, last_seq FROM governance_findingevent e
        WHERE e.finding_id = NEW.finding_id ORDER BY e.seq DESC LIMIT 1;
    grave := EXISTS (SELECT 1 FROM governance_findingoccurrence o
        WHERE o.finding_id = NEW.finding_id AND o.severity = 'critical');
    IF NEW.seq <> coalesce(last_seq, 0) + 1 OR (coalesce(before, ''), NEW.state) NOT IN (
        ('', 'open'), ('open', 'owned'), ('owned', 'owned'), ('owned', 'action_recorded'),
        ('action_recorded', 'owned'), ('action_recorded', 'checked'), ('action_recorded', 'closed'),
        ('checked', 'owned'), ('checked', 'closed'), ('closed', 'reopened'), ('reopened', 'owned')
    ) OR grave AND before = 'action_recorded' AND NEW.state = 'closed' THEN
        RAISE EXCEPTION 'a finding cannot go from % to %', before, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state IN ('checked', 'closed') AND (NEW.by_id IS NULL OR EXISTS (
        SELECT 1 FROM governance_findingevent e WHERE e.finding_id = NEW.finding_id
          AND e.seq > (SELECT max(f.seq) FROM governance_findingevent f
                       WHERE f.finding_id = NEW.finding_id AND f.state IN ('reopened', 'open'))
          AND (e.owner_id = NEW.by_id OR e.by_id = NEW.by_id AND e.state IN ('action_recorded', 'checked'))
    )) THEN
        RAISE EXCEPTION 'finding % is closed by another person', NEW.finding_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_finding_moves BEFORE INSERT ON governance_findingevent
    FOR EACH ROW EXECUTE FUNCTION governance_finding_moves();
ALTER TABLE governance_findingevent ENABLE ALWAYS TRIGGER governance_finding_moves;

CREATE FUNCTION governance_finding_closed_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM governance_suspension s WHERE s.id = NEW.suspension_id AND s.cause = 'finding' AND 'closed' <> (
            SELECT e.state FROM governance_findingevent e WHERE e.finding_id::text = s.cause_ref
            ORDER BY e.seq DESC LIMIT 1)
    ) THEN
        RAISE EXCEPTION 'suspension % stands while its finding is not closed', NEW.suspension_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_finding_closed_first BEFORE INSERT ON governance_suspensionend
    FOR EACH ROW EXECUTE FUNCTION governance_finding_closed_first();
ALTER TABLE governance_suspensionend ENABLE ALWAYS TRIGGER governance_finding_closed_first;

CREATE FUNCTION governance_critical_suspends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.severity = 'critical' AND EXISTS (
        SELECT 1 FROM governance_finding f WHERE f.id = NEW.finding_id
          AND f.subject IN ('everything', 'pathway', 'model', 'boundary', 'device_type', 'cohort')
          AND NOT EXISTS (SELECT 1 FROM governance_suspension s WHERE s.cause = 'finding'
                          AND s.cause_ref = f.id::text AND s.scope = f.subject AND s.name = f.name)
    ) THEN
        RAISE EXCEPTION 'critical finding % suspends nothing', NEW.finding_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER governance_critical_suspends AFTER INSERT ON governance_findingoccurrence
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION governance_critical_suspends();
ALTER TABLE governance_findingoccurrence ENABLE ALWAYS TRIGGER governance_critical_suspends;
"""

INCIDENTS = """
CREATE FUNCTION governance_incident_moves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before varchar := '';
    last_seq integer := 0;
BEGIN
    SELECT e.state, e.seq INTO before, last_seq FROM governance_incidentevent e
        WHERE e.incident_id = NEW.incident_id ORDER BY e.seq DESC LIMIT 1;
    IF NEW.seq <> coalesce(last_seq, 0) + 1 OR (coalesce(before, ''), NEW.state) NOT IN (
        ('', 'open'), ('open', 'assessed'), ('assessed', 'assessed'), ('assessed', 'reported'), ('assessed', 'closed'),
        ('reported', 'reported'), ('reported', 'closed')
    ) OR before = 'assessed' AND NEW.state = 'closed' AND NEW.of <> 'no_report_needed' THEN
        RAISE EXCEPTION 'an incident cannot go from % to %', before, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_incident_moves BEFORE INSERT ON governance_incidentevent
    FOR EACH ROW EXECUTE FUNCTION governance_incident_moves();
ALTER TABLE governance_incidentevent ENABLE ALWAYS TRIGGER governance_incident_moves;
"""

LADDER = """
CREATE FUNCTION governance_autonomy_earned() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ladder varchar[] := ARRAY['observe', 'suggest', 'approve_each', 'within_boundary'];
    stood varchar := 'observe';
    last_seq integer := 0;
BEGIN
    SELECT s.level, s.seq INTO stood, last_seq FROM governance_autonomystep s
        WHERE s.digest = NEW.digest AND s.cohort = NEW.cohort AND s.action = NEW.action ORDER BY s.seq DESC LIMIT 1;
    stood := coalesce(stood, 'observe');
    IF NEW.seq <> coalesce(last_seq, 0) + 1 OR NEW.before <> stood
       OR array_position(ladder, NEW.level) IS NULL OR NEW.level = stood THEN
        RAISE EXCEPTION 'a step of a ladder follows the one before it' USING ERRCODE = 'check_violation';
    END IF;
    IF array_position(ladder, NEW.level) > array_position(ladder, stood) AND NOT EXISTS (
        SELECT 1 FROM governance_autonomygate g WHERE g.id = NEW.gate_id AND g.digest = NEW.digest
          AND g.level = NEW.level AND NEW.cohort = ANY (g.cohorts) AND NEW.action = ANY (g.actions)
          AND (SELECT count(DISTINCT x.signer_id) FROM governance_gatesignature x WHERE x.gate_id = g.id) >= 2
          AND (SELECT count(DISTINCT x.role) FROM governance_gatesignature x WHERE x.gate_id = g.id) >= 2
    ) THEN
        RAISE EXCEPTION 'nothing but a gate signed by two raises autonomy' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER governance_autonomy_earned BEFORE INSERT ON governance_autonomystep
    FOR EACH ROW EXECUTE FUNCTION governance_autonomy_earned();
ALTER TABLE governance_autonomystep ENABLE ALWAYS TRIGGER governance_autonomy_earned;
"""

_GROWS = (
    "finding findingoccurrence findingevent incident incidentevent"
    " autonomygate gatesignature autonomystep modelmeasurement"
)


class Migration(migrations.Migration):
    """Tables, rights, growth, entries, signatures, ways."""

    dependencies = [
        ('governance', '0012_channels_and_cover'),
    ]

    operations = [
        migrations.CreateModel(
            name='AutonomyGate',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('model_name', models.CharField(max_length=80)),
                ('model_version', models.CharField(max_length=40)),
                ('digest', models.CharField(max_length=64)),
                ('kind', models.CharField(max_length=20)),
                ('cohorts', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=60), size=None)),
                ('actions', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), size=None)),
                ('level', models.CharField(choices=[('observe', 'observe'), ('suggest', 'suggest'), ('approve_each', 'approve_each'), ('within_boundary', 'within_boundary')], max_length=20)),
                ('evidence', models.TextField()),
                ('rules', models.CharField(max_length=40)),
                ('asked_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('cause', models.CharField(max_length=60)),
                ('subject', models.CharField(choices=[('everything', 'everything'), ('pathway', 'pathway'), ('model', 'model'), ('boundary', 'boundary'), ('device_type', 'device_type'), ('cohort', 'cohort'), ('record', 'record'), ('process', 'process')], max_length=20)),
                ('name', models.CharField(blank=True, max_length=160)),
                ('title', models.CharField(max_length=200)),
                ('raised_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('raised_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='FindingEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('seq', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('open', 'open'), ('owned', 'owned'), ('action_recorded', 'action_recorded'), ('checked', 'checked'), ('closed', 'closed'), ('reopened', 'reopened')], max_length=20)),
                ('due_at', models.DateTimeField()),
                ('action', models.TextField(blank=True)),
                ('said', models.TextField(blank=True)),
                ('at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('finding', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='governance.finding')),
                ('owner', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('signature', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.signature')),
            ],
        ),
        migrations.CreateModel(
            name='FindingOccurrence',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('severity', models.CharField(choices=[('minor', 'minor'), ('major', 'major'), ('critical', 'critical')], max_length=10)),
                ('evidence_kind', models.CharField(max_length=30)),
                ('evidence', models.CharField(max_length=160)),
                ('text', models.TextField(blank=True)),
                ('seen_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('finding', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='occurrences', to='governance.finding')),
                ('seen_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='GateSignature',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(max_length=40)),
                ('signed_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('gate', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='signatures', to='governance.autonomygate')),
                ('signature', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.signature')),
                ('signer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('title', models.CharField(max_length=200)),
                ('subject', models.CharField(choices=[('everything', 'everything'), ('pathway', 'pathway'), ('model', 'model'), ('boundary', 'boundary'), ('device_type', 'device_type'), ('cohort', 'cohort'), ('record', 'record'), ('process', 'process')], max_length=20)),
                ('name', models.CharField(blank=True, max_length=160)),
                ('happened_from', models.DateTimeField()),
                ('happened_until', models.DateTimeField()),
                ('aware_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('finding', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='incidents', to='governance.finding')),
                ('reported_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='IncidentEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('seq', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('open', 'open'), ('assessed', 'assessed'), ('reported', 'reported'), ('closed', 'closed')], max_length=20)),
                ('of', models.CharField(choices=[('serious_incident', 'serious_incident'), ('death_or_unanticipated_deterioration', 'death_or_unanticipated_deterioration'), ('public_health_threat', 'public_health_threat'), ('personal_data_breach', 'personal_data_breach'), ('no_report_needed', 'no_report_needed')], max_length=40)),
                ('authority', models.CharField(blank=True, max_length=120)),
                ('reference', models.CharField(blank=True, max_length=120)),
                ('said', models.TextField(blank=True)),
                ('at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('incident', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='governance.incident')),
            ],
        ),
        migrations.CreateModel(
            name='ModelMeasurement',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('digest', models.CharField(max_length=64)),
                ('cohort', models.CharField(max_length=60)),
                ('fact', models.CharField(choices=[('drift', 'drift'), ('calibration_error', 'calibration_error')], max_length=30)),
                ('value', models.DecimalField(decimal_places=6, max_digits=9)),
                ('measured_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='AutonomyStep',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('digest', models.CharField(max_length=64)),
                ('cohort', models.CharField(max_length=60)),
                ('action', models.CharField(max_length=20)),
                ('seq', models.PositiveIntegerField()),
                ('before', models.CharField(choices=[('observe', 'observe'), ('suggest', 'suggest'), ('approve_each', 'approve_each'), ('within_boundary', 'within_boundary')], max_length=20)),
                ('level', models.CharField(choices=[('observe', 'observe'), ('suggest', 'suggest'), ('approve_each', 'approve_each'), ('within_boundary', 'within_boundary')], max_length=20)),
                ('rule', models.CharField(blank=True, max_length=120)),
                ('at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('gate', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='governance.autonomygate')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('digest', 'cohort', 'action', 'seq'), name='autonomy_step_once'), models.UniqueConstraint(condition=models.Q(('gate__isnull', False)), fields=('gate', 'cohort', 'action'), name='autonomy_gate_once'), models.CheckConstraint(condition=models.Q(models.Q(('gate__isnull', False), ('rule', '')), models.Q(('gate__isnull', True), models.Q(('rule', ''), _negated=True)), _connector='OR'), name='autonomy_step_says_why')],
            },
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(fields=['cause', 'subject', 'name'], name='finding_cluster'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.CheckConstraint(condition=models.Q(('subject__in', ('everything', 'pathway', 'model', 'boundary', 'device_type', 'cohort', 'record', 'process'))), name='finding_subject_known'),
        ),
        migrations.AddConstraint(
            model_name='findingevent',
            constraint=models.UniqueConstraint(fields=('finding', 'seq'), name='finding_event_once'),
        ),
        migrations.AddConstraint(
            model_name='findingevent',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['open', 'reopened']), ('owner__isnull', False), _connector='OR'), name='finding_owned_by_someone'),
        ),
        migrations.AddConstraint(
            model_name='findingevent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['checked', 'closed']), _negated=True), ('signature__isnull', False), _connector='OR'), name='finding_closed_is_signed'),
        ),
        migrations.AddConstraint(
            model_name='findingevent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'action_recorded'), _negated=True), models.Q(('action', ''), _negated=True), _connector='OR'), name='finding_action_said'),
        ),
        migrations.AddConstraint(
            model_name='findingoccurrence',
            constraint=models.UniqueConstraint(fields=('finding', 'evidence_kind', 'evidence', 'severity'), name='finding_evidence_once'),
        ),
        migrations.AddConstraint(
            model_name='findingoccurrence',
            constraint=models.CheckConstraint(condition=models.Q(('severity__in', ['minor', 'major', 'critical'])), name='finding_severity_known'),
        ),
        migrations.AddConstraint(
            model_name='gatesignature',
            constraint=models.UniqueConstraint(fields=('gate', 'signer'), name='gate_signed_once'),
        ),
        migrations.AddConstraint(
            model_name='gatesignature',
            constraint=models.UniqueConstraint(fields=('gate', 'role'), name='gate_role_once'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.CheckConstraint(condition=models.Q(('subject__in', ('everything', 'pathway', 'model', 'boundary', 'device_type', 'cohort', 'record', 'process'))), name='incident_subject_known'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.CheckConstraint(condition=models.Q(('aware_at__gte', models.F('happened_from')), ('happened_until__gte', models.F('happened_from'))), name='incident_ends_after_start'),
        ),
        migrations.AddConstraint(
            model_name='incidentevent',
            constraint=models.UniqueConstraint(fields=('incident', 'seq'), name='incident_event_once'),
        ),
        migrations.AddConstraint(
            model_name='incidentevent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'reported'), _negated=True), models.Q(('authority', ''), ('reference', ''), _negated=True), _connector='OR'), name='incident_reported_somewhere'),
        ),
        migrations.AddIndex(
            model_name='modelmeasurement',
            index=models.Index(fields=['digest', 'cohort', 'fact', '-measured_at'], name='measurement_newest'),
        ),
        *controls(grows=[f"governance_{name}" for name in _GROWS.split()], moves={}),
        own_entry("governance_finding", "finding.raised", of="id", person="raised_by_id"),
        own_entry(
            "governance_findingoccurrence",
            "finding.raised",
            "finding.seen_again",
            "finding.reopened",
            of="finding_id",
            person="seen_by_id",
        ),
        own_entry(
            "governance_findingevent",
            *(f"finding.{word}" for word in ["raised", "owned", "action_recorded", "checked", "closed", "reopened"]),
            of="finding_id",
            person="by_id",
        ),
        own_entry("governance_incident", "incident.reported_here", of="id", person="reported_by_id"),
        own_entry(
            "governance_incidentevent",
            *(f"incident.{word}" for word in ["reported_here", "assessed", "reported", "closed"]),
            of="incident_id",
            person="by_id",
        ),
        own_entry("governance_autonomygate", "autonomy.gate_asked", of="id", person="asked_by_id"),
        own_entry("governance_gatesignature", "autonomy.gate_signed", of="gate_id", person="signer_id"),
        own_entry("governance_autonomystep", "autonomy.raised", "autonomy.lowered", of="id", person="by_id"),
        own_entry("governance_modelmeasurement", "autonomy.measured", of="id", person="by_id"),
        signed_row("governance_gatesignature", "autonomy.gate_signed", signer="signer_id", of=("gate_id",)),
        signed_row(
            "governance_findingevent",
            "finding.checked",
            "finding.closed",
            signer="by_id",
            of=("finding_id",),
            when="NEW.state IN ('checked', 'closed')",
        ),
        migrations.RunSQL(
            sql=FINDINGS,
            reverse_sql="DROP FUNCTION governance_finding_moves() CASCADE;"
            " DROP FUNCTION governance_finding_closed_first() CASCADE;"
            " DROP FUNCTION governance_critical_suspends() CASCADE",
        ),
        migrations.RunSQL(sql=INCIDENTS, reverse_sql="DROP FUNCTION governance_incident_moves() CASCADE"),
        migrations.RunSQL(sql=LADDER, reverse_sql="DROP FUNCTION governance_autonomy_earned() CASCADE"),
    ]
