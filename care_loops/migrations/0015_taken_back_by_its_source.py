"""A correction without a person: the source of a reading took it back as entered in error."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Nobody's name stands on such a correction, and only on such a one."""

    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL), ("care_loops", "0014_signed_rows")]

    operations = [
        migrations.AlterField(
            model_name="correction",
            name="by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("by__isnull", False))
                | models.Q(("moved_to__isnull", True), ("reason", "entered_in_error")),
                name="correction_has_person_or_was_taken_back",
            ),
        ),
    ]
