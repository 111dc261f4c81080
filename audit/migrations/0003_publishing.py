"""Checkpoints are published: signed by the signer, cosigned by witnesses."""

import django.db.models.functions.datetime
from django.db import migrations, models

import audit.migrations_sql


class Migration(migrations.Migration):
    """Checkpoints are published: signed by the signer, cosigned by witnesses."""

    dependencies = [("audit", "0002_data_keys")]
    operations = [
        migrations.CreateModel(
            name="Cosignature",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "size", "key_name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("size", models.BigIntegerField()),
                ("key_name", models.CharField(max_length=255)),
                ("line", models.BinaryField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="Timestamp",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("authority", models.CharField(max_length=255)),
                ("token", models.BinaryField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        audit.migrations_sql.guard_tables("audit_cosignature", "audit_timestamp"),
    ]
