"""Exports asked for, and how far they are."""

import uuid

from django.db import migrations, models

import audit.migrations_sql


class Migration(migrations.Migration):
    """Exports asked for, and how far they are."""

    dependencies = [("audit", "0003_publishing")]
    operations = [
        migrations.CreateModel(
            name="Export",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("report", models.CharField(max_length=32)),
                ("asked", models.TextField()),
                ("purpose", models.CharField(max_length=32)),
                ("recipient", models.CharField(max_length=200)),
                ("asked_by", models.CharField(max_length=255)),
                ("asked_at", models.DateTimeField()),
                ("state", models.CharField(db_default="asked", default="asked", max_length=16)),
                ("attempts", models.SmallIntegerField(db_default=0, default=0)),
                ("done", models.BigIntegerField(db_default=0, default=0)),
                ("total", models.BigIntegerField(null=True)),
                ("sha256", models.CharField(db_default="", default="", max_length=64)),
                ("bytes", models.BigIntegerField(null=True)),
                ("entries", models.BigIntegerField(null=True)),
                ("error", models.CharField(db_default="", default="", max_length=64)),
                ("begun_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["asked_by", "-asked_at"], name="audit_export_by_person"),
                    models.Index(fields=["state", "asked_at"], name="audit_export_by_state"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["asked", "running", "done", "failed", "expired"])),
                        name="audit_export_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "done"), _negated=True),
                            models.Q(models.Q(("sha256", ""), _negated=True), ("expires_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="audit_export_done_has_its_file",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "failed"), _negated=True),
                            models.Q(("error", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="audit_export_failed_has_its_reason",
                    ),
                ],
            },
        ),
        migrations.RunPython(audit.migrations_sql.set_rights, migrations.RunPython.noop),
    ]
