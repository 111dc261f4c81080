"""Looking into the record is an act of its own: who looked for what leaves an entry, and nothing else is written.

Rules (SECURITY 2.3 A2, A21; GOV-07)
 * Every search, entry, proof and content looked at leaves an `access.read`. What was asked for stands in its payload:
   the terms may point at a person.
 * The purpose is audit. Where it is known which patient was looked for, the entry is about that patient, and stands in
   their access report.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.services import append

from .acting import Acting


def record_look(
    what: str,
    *,
    at: tuple[str, str],
    by: Acting,
    now: datetime,
    terms: Mapping[str, Any] | None = None,
    about: str | None = None,
) -> None:
    """Record that this person looked at `at` = (type, id); `about` is the patient's own identifier, where known."""
    with transaction.atomic():
        append(
            Event(
                type="access.read",
                occurred_at=now,
                actor=by.actor,
                on_behalf_of=by.on_behalf_of,
                object=ObjectRef(*at),
                purpose=Purpose.AUDIT,
                subject=about,
                payload={"what": what, "terms": dict(terms or {})},
            )
        )
