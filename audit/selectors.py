"""What others may ask of the record, without seeing its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from audit.models import Payload


def next_version(object_type: str, object_id: str, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The version the object's next entry will have: 1 for an object not yet recorded. A look, not a reservation."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT max(version) FROM audit_objectversion WHERE object_type = %s AND object_id = %s",
            [object_type, object_id],
        )
        return int(cursor.fetchone()[0] or 0) + 1


def has_entries(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether anything at all has been recorded."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM audit_entry) OR EXISTS (SELECT 1 FROM audit_pending)")
        return bool(cursor.fetchone()[0])


def payload_of(entry_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> Mapping[str, Any] | None:
    """The payload recorded with an entry, or None when it has none. Whoever shows it checks who may see it."""
    body = Payload.objects.using(using).filter(entry_id=entry_id).values_list("body", flat=True).first()
    return None if body is None else json.loads(bytes(body))


def count_entries(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """How many entries have been recorded, numbered or still pending."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM audit_entry) + (SELECT count(*) FROM audit_pending)")
        return int(cursor.fetchone()[0])
