"""What the record needs done by the clock: refusals that were only counted are written, what has expired is purged."""

from __future__ import annotations

from uuid import uuid4

from celery import shared_task
from django.utils import timezone

from audit.domain import Job
from audit.services import flush_denials
from audit.services.retention import apply


@shared_task
def write_counted_denials() -> int:
    """Write what was counted in the minutes that have passed. Returns how many entries."""
    return flush_denials(now=timezone.now())


@shared_task
def apply_retention() -> int:
    """Take away what has expired under the retention policy. Returns how many tombstones that took."""
    return sum(len(each.gone) for each in apply(by=Job("apply-retention", str(uuid4())), now=timezone.now()))


SCHEDULE = {
    "write-counted-denials": {
        "task": write_counted_denials.name,
        "schedule": 60.0,
        "options": {"queue": "report", "expires": 60.0},
    },
    "apply-retention": {
        "task": apply_retention.name,
        "schedule": 86_400.0,
        "options": {"queue": "report", "expires": 3600.0},
    },
}
