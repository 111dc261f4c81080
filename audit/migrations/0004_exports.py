"""Exports asked for, and how far they are."""

from django.db import migrations


class Migration(migrations.Migration):
    """Exports asked for, and how far they are."""

    dependencies = [("audit", "0003_publishing")]
    operations = []
