"""Data keys: one per person, wrapped by the site key."""

from django.db import migrations


class Migration(migrations.Migration):
    """Data keys: one per person, wrapped by the site key."""

    dependencies = [("audit", "0001_initial")]
    operations = []
