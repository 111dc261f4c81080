"""Addresses, the rota, and what was sent to whom; held by the database too (DBT-03, SECURITY 4).

Rules
 * An address is added by its person, and a stand-in is the one who stands in. What has ended stays ended.
 * No address counts, no shift is called off and no notice moves on without its entry. How often a notice was tried, and
   when it is tried again, is bookkeeping.
"""

from __future__ import annotations

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls, ends_once, moves_by_entry, only_grows, own_entry, rights


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0011_policies_by_quorum'),
    ]

    operations = [
        migrations.CreateModel(
            name='ContactPoint',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('channel', models.CharField(choices=[('email', 'email'), ('sms', 'sms'), ('push', 'push')], max_length=10)),
                ('address', models.BinaryField()),
                ('added_at', models.DateTimeField()),
                ('code_sha256', models.CharField(blank=True, max_length=64)),
                ('code_tries', models.PositiveSmallIntegerField(default=0)),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('entry', models.UUIDField()),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contact_points', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('alert', 'alert'), ('uncovered', 'uncovered'), ('alarm', 'alarm'), ('test', 'test'), ('code', 'code'), ('reminder', 'reminder')], max_length=10)),
                ('about', models.CharField(max_length=80)),
                ('grave', models.CharField(blank=True, max_length=20)),
                ('level', models.PositiveSmallIntegerField(default=0)),
                ('planned_at', models.DateTimeField()),
                ('tried', models.PositiveSmallIntegerField(default=0)),
                ('next_try_at', models.DateTimeField(null=True)),
                ('state', models.CharField(choices=[('planned', 'planned'), ('accepted', 'accepted'), ('delivered', 'delivered'), ('failed', 'failed')], max_length=10)),
                ('entry', models.UUIDField()),
                ('contact', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='governance.contactpoint')),
            ],
        ),
        migrations.CreateModel(
            name='NoticeTry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField()),
                ('outcome', models.CharField(choices=[('begun', 'begun'), ('accepted', 'accepted'), ('refused', 'refused'), ('unreachable', 'unreachable')], max_length=12)),
                ('at', models.DateTimeField()),
                ('reference', models.CharField(blank=True, max_length=120)),
                ('notice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tries', to='governance.notice')),
            ],
        ),
        migrations.CreateModel(
            name='OnCallShift',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('rung', models.CharField(choices=[('on_call_clinician', 'on_call_clinician'), ('supervising_clinician', 'supervising_clinician')], max_length=40)),
                ('starts', models.DateTimeField()),
                ('ends', models.DateTimeField()),
                ('called_off_at', models.DateTimeField(null=True)),
                ('entry', models.UUIDField()),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='ShiftCover',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('starts', models.DateTimeField()),
                ('ends', models.DateTimeField()),
                ('taken_at', models.DateTimeField()),
                ('entry', models.UUIDField()),
                ('shift', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='covers', to='governance.oncallshift')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddIndex(
            model_name='contactpoint',
            index=models.Index(fields=['user', 'channel'], name='contact_point_of'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('state', 'planned')), fields=['next_try_at'], name='notice_due'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('kind', 'about', 'level', 'contact'), name='notice_once'),
        ),
        migrations.AddConstraint(
            model_name='noticetry',
            constraint=models.UniqueConstraint(fields=('notice', 'number', 'outcome'), name='notice_try_once'),
        ),
        migrations.AddIndex(
            model_name='oncallshift',
            index=models.Index(fields=['rung', 'ends'], name='shift_by_time'),
        ),
        migrations.AddConstraint(
            model_name='oncallshift',
            constraint=models.CheckConstraint(condition=models.Q(('ends__gt', models.F('starts'))), name='shift_has_a_length'),
        ),
        migrations.AddConstraint(
            model_name='shiftcover',
            constraint=models.CheckConstraint(condition=models.Q(('ends__gt', models.F('starts'))), name='cover_has_a_length'),
        ),
        *controls(
            ["governance_shiftcover"],
            {
                "governance_contactpoint": ["code_sha256", "code_tries", "confirmed_at", "ended_at"],
                "governance_oncallshift": ["called_off_at"],
                "governance_notice": ["tried", "next_try_at", "state"],
            },
        ),
        rights({"governance_noticetry": ()}),
        only_grows("governance_noticetry"),
        ends_once("governance_contactpoint", "ended_at"),
        ends_once("governance_oncallshift", "called_off_at"),
        own_entry("governance_contactpoint", "contact.added", of="id", person="user_id"),
        own_entry("governance_shiftcover", "shift.covered", of="shift_id", person="user_id"),
        moves_by_entry("governance_contactpoint", ["confirmed_at"], kinds=["contact.confirmed"], of="id"),
        moves_by_entry("governance_contactpoint", ["ended_at"], kinds=["contact.ended"], of="id"),
        moves_by_entry("governance_oncallshift", ["called_off_at"], kinds=["shift.called_off"], of="id"),
        moves_by_entry(
            "governance_notice",
            ["state"],
            kinds=["notice.accepted", "notice.delivered", "notice.failed"],
            of="id",
        ),
    ]
