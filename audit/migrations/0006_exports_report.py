"""An export keeps the digest of its report too: what is handed out is what was made."""

from django.db import migrations, models

import audit.migrations_sql


class Migration(migrations.Migration):
    """An export keeps the digest of its report too."""

    dependencies = [("audit", "0005_retention")]
    operations = [
        migrations.AddField(
            model_name="export",
            name="report_sha256",
            field=models.CharField(max_length=64, default="", db_default=""),
        ),
        migrations.RunPython(audit.migrations_sql.set_rights, migrations.RunPython.noop),
    ]
