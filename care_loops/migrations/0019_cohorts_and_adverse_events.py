"""The cohort of a proposal, by which autonomy is kept apart; adverse events as records."""

from __future__ import annotations

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


from governance.migrations_sql import controls, own_entry


class Migration(migrations.Migration):
    """A column and a table."""

    dependencies = [
        ('care_loops', '0018_consent_holds'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='loop',
            name='cohort',
            field=models.CharField(blank=True, default='', max_length=60),
        ),
        migrations.CreateModel(
            name='AdverseEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('symptomatic_hypotension', 'symptomatic_hypotension'), ('syncope', 'syncope'), ('fall', 'fall'), ('hyperkalaemia', 'hyperkalaemia'), ('hyponatraemia', 'hyponatraemia'), ('acute_kidney_injury', 'acute_kidney_injury'), ('angio_oedema', 'angio_oedema'), ('bradycardia', 'bradycardia'), ('stroke', 'stroke'), ('myocardial_infarction', 'myocardial_infarction'), ('heart_failure', 'heart_failure'), ('death', 'death'), ('other', 'other')], max_length=40)),
                ('of', models.CharField(choices=[('serious_incident', 'serious_incident'), ('death_or_unanticipated_deterioration', 'death_or_unanticipated_deterioration'), ('public_health_threat', 'public_health_threat'), ('personal_data_breach', 'personal_data_breach'), ('no_report_needed', 'no_report_needed')], max_length=40)),
                ('pathway', models.CharField(max_length=40)),
                ('model_name', models.CharField(blank=True, max_length=80)),
                ('model_version', models.CharField(blank=True, max_length=40)),
                ('site', models.CharField(max_length=255)),
                ('onset_at', models.DateTimeField()),
                ('known_at', models.DateTimeField()),
                ('incident', models.UUIDField(null=True)),
                ('reported_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('loop', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='adverse_events', to='care_loops.loop')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='adverse_events', to='care_loops.patient')),
                ('reported_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('known_at__gte', models.F('onset_at')), ('reported_at__gte', models.F('known_at'))), name='adverse_known_after_onset'), models.CheckConstraint(condition=models.Q(('kind__in', ['symptomatic_hypotension', 'syncope', 'fall', 'hyperkalaemia', 'hyponatraemia', 'acute_kidney_injury', 'angio_oedema', 'bradycardia', 'stroke', 'myocardial_infarction', 'heart_failure', 'death', 'other'])), name='adverse_kind_known')],
            },
        ),
        *controls(grows=["care_loops_adverseevent"], moves={}),
        own_entry("care_loops_adverseevent", "adverse_event.recorded", of="id", person="reported_by_id"),
    ]
