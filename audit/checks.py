"""Said at every start: whether the database can hold the record append-only against the application itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security)
def roles_are_separate(**_: Any) -> list[checks.CheckMessage]:
    """Warn when one role plays all parts: rights cannot stop the application then, only triggers and the tree."""
    roles = getattr(settings, "DATABASE_ROLES", {})
    if roles.get("owner") and roles["owner"] != roles.get("default"):
        return []
    return [
        checks.Warning(
            "the application owns the tables of the record, so database rights cannot keep it from changing them",
            hint="Set DATABASE_URL_OWNER and DATABASE_URL_SEQUENCER to roles of their own and migrate again.",
            id="audit.W001",
        )
    ]
