"""Row-level security of assignments and of what was refused: shown to whoever is tied to the patient (A6)."""

from __future__ import annotations

from django.db import migrations

from edge_wearables.row_policies import FIRST
from governance.migrations_sql import row_policies


class Migration(migrations.Migration):
    """Policies only."""

    dependencies = [
        ("edge_wearables", "0005_types_are_known"),
        ("care_loops", "0027_rows_are_seen_by_relation"),
    ]
    operations = [*row_policies(FIRST, seen="care_loops_seen")]
