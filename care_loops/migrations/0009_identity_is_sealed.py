"""Who a patient is, encrypted under the data key of the patient.

Rules
 * Names, date of birth and the identifier at the source are sealed for every patient there is, as the owner, in one
   transaction with the change of the table; the plain columns go in the same step (SECURITY 1.3).
 * It cannot be undone: who would need the plain columns back reads them through the application.
 * The dropped columns stay in the table's files until it is written anew (VACUUM FULL), and payloads of entries written
   before this stay as they were: evidence is not rewritten (docs/operations.md).
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from audit.services import personal

TABLE = "care_loops_patient"


def seal_identities(apps: Any, schema_editor: Any) -> None:
    """Seal what stands in the plain columns."""
    patients = apps.get_model("care_loops", "Patient")
    alias = schema_editor.connection.alias
    for row in patients.objects.using(alias).order_by("pk").iterator(chunk_size=500):
        said = {
            "given_name": row.given_name,
            "family_name": row.family_name,
            "born_on": row.born_on.isoformat() if row.born_on else None,
            "source_id": row.source_id,
        }
        sealed = personal.seal(str(row.pk), table=TABLE, row_id=str(row.pk), values=said, using=alias)
        columns: dict[str, bytes | None] = {f"{name}_sealed": value for name, value in sealed.items()}
        if row.source_id:
            columns["source_index"] = personal.blind_index(f"{TABLE}.source_id", row.source_id)
        patients.objects.using(alias).filter(pk=row.pk).update(**columns)


class Migration(migrations.Migration):
    """Who a patient is, encrypted under the data key of the patient."""

    dependencies = [("care_loops", "0008_limits_and_visits"), ("audit", "0002_data_keys")]
    operations = [
        migrations.AddField("patient", "given_name_sealed", models.BinaryField(default=b""), preserve_default=False),
        migrations.AddField("patient", "family_name_sealed", models.BinaryField(default=b""), preserve_default=False),
        migrations.AddField("patient", "source_id_sealed", models.BinaryField(default=b""), preserve_default=False),
        migrations.AddField("patient", "born_on_sealed", models.BinaryField(null=True)),
        migrations.AddField("patient", "source_index", models.BinaryField(null=True)),
        migrations.RunPython(seal_identities),
        migrations.RemoveConstraint("patient", "patient_source_once"),
        migrations.RemoveField("patient", "given_name"),
        migrations.RemoveField("patient", "family_name"),
        migrations.RemoveField("patient", "source_id"),
        migrations.RemoveField("patient", "born_on"),
        migrations.AddConstraint(
            "patient",
            models.UniqueConstraint(
                name="patient_source_once",
                fields=["source_system", "source_index"],
                condition=models.Q(("source_index__isnull", False)),
            ),
        ),
    ]
