"""Have the guards changed? Triggers, functions, rights, owners of every table, compared with what was installed.

The rules (SECURITY 1.2, T25)
 * What should be is the list that `audit.services.guards` keeps; what is, the database's own catalogue. Each difference
   is one line of words.
 * Nothing is repaired here: whoever changed a guard had the rights to, and their act is to be seen, not undone.
 * A difference is logged, shown by the metrics, and recorded as `log.drift_seen`, through another role than the one
   that can change guards; when it is gone, that is recorded too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit.domain import Event, Job, ObjectRef, Purpose
from audit.models import ObjectVersion
from audit.selectors import next_version, payload_of
from audit.services import guards, keys
from audit.services.recording import ObjectVersionTaken, append

log = logging.getLogger(__name__)
MOST = 50
OBJECT = "guards"


def check(*, using: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """Every difference between the guards as they are and as they were installed, in words, in order."""
    with connections[using].cursor() as cursor:
        return guards.differences(cursor)


def watch(*, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """Look, log what has changed since the last look, and record it; what was found."""
    found = check(using=using)[:MOST]
    if found == last_seen(using=using):
        return found
    for line in found:
        log.error("the record's guards have changed: %s", line)
    origin = keys.origin()
    event = Event(
        type="log.drift_seen",
        occurred_at=now,
        actor=by,
        object=ObjectRef(OBJECT, origin, next_version(OBJECT, origin, using=using)),
        purpose=Purpose.AUDIT,
        payload={"found": list(found)},
    )
    try:
        with transaction.atomic(using=using):
            append(event, using=using)
    except ObjectVersionTaken:
        pass  # another publisher has just said it
    return found


def last_seen(*, using: str = DEFAULT_DB_ALIAS) -> tuple[str, ...]:
    """What the newest look that found a change has found; empty when the guards were as they should be."""
    named = ObjectVersion.objects.using(using).filter(object_type=OBJECT, object_id=keys.origin())
    newest = named.order_by("-version").values_list("entry_id", flat=True).first()
    said = payload_of(newest, using=using) if newest else None
    return tuple(said["found"]) if isinstance(said, Mapping) else ()
