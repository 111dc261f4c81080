"""A revoked key and an ended assignment stay so: a device is enrolled anew, with its entry."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import ends_once


class Migration(migrations.Migration):
    """The end of a key and of an assignment."""

    dependencies = [("edge_wearables", "0002_controls")]
    operations = [
        ends_once("edge_wearables_devicekey", "revoked_at"),
        ends_once("edge_wearables_deviceassignment", "until"),
    ]
