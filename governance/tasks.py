"""What the record needs from a clock: refusals counted together, old answers to repeated requests forgotten.

A task reads the clock and makes one call; either may run twice.
"""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from audit.services import flush_denials, forget_idempotency_keys

KEYS_LIVE = timedelta(days=2)


@shared_task(queue="report")
def count_denials() -> int:
    """Write one entry for the refusals of a past minute that were counted rather than written. Returns how many."""
    return flush_denials(now=timezone.now())


@shared_task(queue="report")
def forget_answers() -> int:
    """Forget answers kept for repeated requests that are too old to be repeated. Returns how many."""
    return forget_idempotency_keys(older_than=timezone.now() - KEYS_LIVE)


SCHEDULE = {
    "count-denials": {"task": count_denials.name, "schedule": 60.0, "options": {"expires": 60.0}},
    "forget-answers": {"task": forget_answers.name, "schedule": 3600.0, "options": {"expires": 3600.0}},
}
