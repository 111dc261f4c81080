"""A predictor is neither put to work nor taken off it without the entry that says so (N5, N7)."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import moves_by_entry


class Migration(migrations.Migration):
    """A trigger."""

    dependencies = [("model_registry", "0002_controls"), ("governance", "0006_moves_have_entries")]
    operations = [
        moves_by_entry(
            "model_registry_modelversion",
            ["active"],
            kinds=["model.activated", "model.deactivated", "model.rolled_back", "model.withdrawn"],
            of="id",
        ),
    ]
