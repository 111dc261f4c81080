"""The record is told the type of every device that was added before it asked."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def tell(apps: Any, _schema_editor: Any) -> None:
    """One row for each device, under the entry with which it was added."""
    known = apps.get_model("care_loops", "KnownDevice")
    devices = apps.get_model("edge_wearables", "Device").objects.all()
    known.objects.bulk_create(
        [known(device=str(row.pk), device_type=row.model_name, entry=row.entry) for row in devices],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    """Rows only."""

    dependencies = [("edge_wearables", "0004_bodies_expire"), ("care_loops", "0016_suspended_stays")]
    operations = [migrations.RunPython(tell, migrations.RunPython.noop)]
