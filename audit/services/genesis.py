"""The log's first words: its name, the key its checkpoints are signed with, the key of receipts and manifests."""

from __future__ import annotations

from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, transaction

from audit.domain import Event, Job, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import keys, signing
from audit.services.recording import ObjectVersionTaken, append


def found_log(*, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Record the log's name and verifier key, once in its life; whether this call did it."""
    origin = keys.origin()
    if next_version("log", origin, using=using) > 1:
        return False
    event = Event(
        type="log.genesis",
        occurred_at=now,
        actor=by,
        object=ObjectRef("log", origin, 1),
        purpose=Purpose.AUDIT,
        payload={
            "origin": origin,
            "vkey": str(signing.first_key()),
            "statement_vkey": str(keys.statement_vkey()),
        },
    )
    try:
        with transaction.atomic(using=using):
            append(event, using=using)
    except ObjectVersionTaken:
        return False
    return True
