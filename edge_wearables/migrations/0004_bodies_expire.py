"""The body of what was refused may be emptied when it has expired, beside the entry that says so; the row stays."""

from __future__ import annotations

from django.db import migrations

from audit.migrations_sql import expires_by_entry

REFUSED, MINIMUM = "edge_wearables_refusedreading", "184 days"  # the minimum of audit/retention.json; a test compares
SCOPE = "coalesce(patient_id::text, to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM'))"


class Migration(migrations.Migration):
    """Expiry of bodies."""

    dependencies = [("edge_wearables", "0003_ends_once"), ("audit", "0008_retention")]
    operations = [
        expires_by_entry(REFUSED, of_class="refused_bodies", minimum=MINIMUM, age="received_at", scope=SCOPE, empties="body"),
    ]
