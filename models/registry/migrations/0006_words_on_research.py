"""What people said about research since their examples arrived: the newest word holds, whatever stood when they came."""

from __future__ import annotations

import uuid

from django.db import migrations, models

from governance.migrations_sql import controls


class Migration(migrations.Migration):
    """One table that only grows."""

    dependencies = [("model_registry", "0005_suspended_serves_nothing"), ("audit", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="ResearchWord",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("subject", models.CharField(db_index=True, max_length=64)),
                ("given", models.BooleanField()),
                ("at", models.DateTimeField()),
                ("entry", models.UUIDField()),
            ],
        ),
        *controls(grows=["model_registry_researchword"], moves={}),
    ]
