"""Closed decisions drawn for a second review."""

from django.db import migrations


class Migration(migrations.Migration):
    """Closed decisions drawn for a second review."""

    dependencies = [("care_loops", "0009_identity_is_sealed")]
    operations = []
