"""A role that has ended is not brought back by an edit: it is granted anew, with its entry."""

from __future__ import annotations

from django.db import migrations

from governance.migrations_sql import ends_once


class Migration(migrations.Migration):
    """The end of a role."""

    dependencies = [("governance", "0002_controls")]
    operations = [ends_once("governance_roleheld", "until")]
