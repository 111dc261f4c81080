"""A raw sample of a wearable may go when it has expired, beside the entry that says so, and in no other way."""

from __future__ import annotations

from django.db import migrations

from audit.migrations_sql import expires_by_entry

SAMPLES, MINIMUM = "care_loops_sensorsample", "2192 days"  # the minimum of audit/retention.json; a test compares


class Migration(migrations.Migration):
    """Expiry of samples."""

    dependencies = [("care_loops", "0011_moves_have_entries"), ("audit", "0008_retention")]
    operations = [
        expires_by_entry(SAMPLES, of_class="wearable_samples", minimum=MINIMUM, age="received_at", scope="patient_id::text"),
    ]
