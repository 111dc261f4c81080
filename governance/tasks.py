"""What the record needs done by the clock: refusals that were only counted are written, old request keys forgotten."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from audit.services import flush_denials, forget_idempotency_keys

KEYS_LIVE = timedelta(days=7)


@shared_task
def write_counted_denials() -> int:
    """Write what was counted in the minutes that have passed. Returns how many entries."""
    return flush_denials(now=timezone.now())


@shared_task
def forget_old_keys() -> int:
    """Forget request keys nobody will repeat any more. Returns how many."""
    return forget_idempotency_keys(older_than=timezone.now() - KEYS_LIVE)


SCHEDULE = {
    "write-counted-denials": {
        "task": write_counted_denials.name,
        "schedule": 60.0,
        "options": {"queue": "report", "expires": 60.0},
    },
    "forget-old-keys": {
        "task": forget_old_keys.name,
        "schedule": 3600.0,
        "options": {"queue": "report", "expires": 3600.0},
    },
}
