"""That a clinician opened a recommendation, or its patient's record, before it was decided (CLINICAL 4.3).

A look only grows, and is by who the entry of its reading says: nobody's looking is written by somebody else.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from governance.migrations_sql import controls, own_entry


class Migration(migrations.Migration):
    """A table, its rights and its trigger."""

    dependencies = [
        ("care_loops", "0022_nothing_is_said"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Look",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "what",
                    models.CharField(
                        choices=[("proposal", "proposal"), ("record", "record"), ("trend", "trend")], max_length=20
                    ),
                ),
                ("at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                (
                    "loop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="looks", to="care_loops.loop"
                    ),
                ),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="care_loops.patient"
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
        own_entry("care_loops_look", "access.read", of="patient_id", person="person_id"),
        *controls(["care_loops_look"], {}),
    ]
