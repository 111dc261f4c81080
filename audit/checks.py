"""Said at every start: whether the database can hold the record append-only against the application itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security)
def roles_are_separate(**_: Any) -> list[CheckMessage]:
    """Warn when one database role plays all parts: rights cannot stop the application then, only triggers and the tree."""
    users = {alias: entry.get("USER") for alias, entry in settings.DATABASES.items()}
    owner = settings.DATABASE_ROLES.get("owner") if hasattr(settings, "DATABASE_ROLES") else users.get("owner")
    if owner and owner != settings.DATABASE_ROLES.get("default"):
        return []
    return [
        Warning(
            "the application owns the tables of the record, so database rights cannot keep it from changing them",
            hint="Set DATABASE_URL_OWNER and DATABASE_URL_SEQUENCER to roles of their own and migrate again.",
            id="audit.W001",
        )
    ]
