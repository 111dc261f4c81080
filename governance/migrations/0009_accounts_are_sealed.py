"""What names the people who sign in, encrypted under the key of each.

Rules
 * User name, names, address, and what was written about a person when a role was asked for or a way back was opened:
   sealed for everybody there is, as the owner, in one transaction with the change of the tables (SECURITY 1.3).
 * Who signs in is found by a blind index that disregards case: two accounts whose names differ only in case stop this
   migration.
 * It cannot be undone: who would need the plain columns back reads them through the application.
 * The dropped columns stay in the tables' files until these are written anew (VACUUM FULL; docs/operations.md).
"""

from __future__ import annotations

from typing import Any

import django.core.validators
from django.contrib.auth.models import AbstractUser
from django.db import migrations, models

from audit.services.sealed_text import BlindIndex, SealedText

SEALED: dict[str, dict[str, dict[str, Any]]] = {
    "user": {
        "username": {
            "max_length": 150,
            "verbose_name": "username",
            "index": "username_index",
            "validators": [AbstractUser.username_validator],
            "error_messages": {"unique": "A user with that username already exists."},
        },
        "first_name": {"max_length": 150, "verbose_name": "first name", "blank": True},
        "last_name": {"max_length": 150, "verbose_name": "last name", "blank": True},
        "email": {
            "max_length": 254,
            "verbose_name": "email address",
            "blank": True,
            "index": "email_index",
            "validators": [django.core.validators.validate_email],
        },
    },
    "invitation": {"email": {"max_length": 254, "validators": [django.core.validators.validate_email]}},
    "roleasked": {"reason": {"subject": "user_id"}},
    "wayback": {"reason": {"subject": "user_id"}},
}
INDEXES = ["username_index", "email_index"]
_FIELDS = [(model, name, said) for model, names in SEALED.items() for name, said in names.items()]


def seal(apps: Any, schema_editor: Any) -> None:
    """Seal what stands in the plain columns."""
    alias = schema_editor.connection.alias
    for model, names in SEALED.items():
        written = [*names, *(INDEXES if model == "user" else ())]
        for row in apps.get_model("governance", model).objects.using(alias).order_by("pk").iterator(chunk_size=500):
            for name in names:
                setattr(row, name, getattr(row, f"{name}_plain"))
            row.save(using=alias, update_fields=written)


class Migration(migrations.Migration):
    """Columns, and what stood in them."""

    dependencies = [("governance", "0008_suspensions"), ("audit", "0002_data_keys")]
    operations = [
        *[migrations.RenameField(model, name, f"{name}_plain") for model, name, _ in _FIELDS],
        migrations.AlterField("user", "username_plain", models.CharField(max_length=150)),
        *[
            migrations.AddField(model, name, SealedText(default="", **said), preserve_default=False)
            for model, name, said in _FIELDS
        ],
        migrations.AddField("user", "username_index", BlindIndex(of="username", null=True)),
        migrations.AddField("user", "email_index", BlindIndex(of="email", null=True)),
        migrations.RunPython(seal),
        *[migrations.RemoveField(model, f"{name}_plain") for model, name, _ in _FIELDS],
        migrations.AlterField("user", "username", SealedText(unique=True, **SEALED["user"]["username"])),
        migrations.AlterField("user", "username_index", BlindIndex(of="username", null=True, unique=True)),
        migrations.AlterField("user", "email_index", BlindIndex(of="email", null=True, db_index=True)),
    ]
