"""Holds the place in the order that 0006 names; holds, retention and segments are 0007 and after."""

from django.db import migrations


class Migration(migrations.Migration):
    """Nothing."""

    dependencies = [("audit", "0004_exports")]
    operations = []
