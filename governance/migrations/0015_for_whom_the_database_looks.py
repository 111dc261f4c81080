"""The function that says for whom a connection looks at patients' rows."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import viewer_function


class Migration(migrations.Migration):
    """A function."""

    dependencies = [("governance", "0014_rows_come_by_their_entry")]
    operations = [viewer_function()]
