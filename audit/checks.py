"""Said at every start: whether rights can hold the record append-only; whether timestamps can be checked."""

from __future__ import annotations

from pathlib import Path
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


@checks.register(checks.Tags.security)
def timestamps_can_be_checked(**_: Any) -> list[checks.CheckMessage]:
    """Warn when an authority is named whose word nobody here could check: no token is kept then."""
    if not settings.AUDIT_TIMESTAMP_URL or Path(settings.AUDIT_TIMESTAMP_ROOTS).is_file():
        return []
    return [
        checks.Warning(
            "a timestamp authority is named without its root certificates, so none of its tokens is kept",
            hint="Set AUDIT_TIMESTAMP_ROOTS to a PEM file that the authority publishes.",
            id="audit.W002",
        )
    ]
