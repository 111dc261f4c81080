"""Segments detached, legal holds, shredded payloads."""

from django.db import migrations


class Migration(migrations.Migration):
    """Segments detached, legal holds, shredded payloads."""

    dependencies = [("audit", "0004_exports")]
    operations = []
