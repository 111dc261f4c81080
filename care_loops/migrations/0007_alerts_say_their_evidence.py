"""The words of an alert are made from its evidence when it is shown; none are kept."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """One column less, which nothing filled."""

    dependencies = [("care_loops", "0006_ends_follow_steps")]
    operations = [migrations.RemoveField(model_name="alert", name="words")]
