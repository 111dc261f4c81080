"""What the record needs done by the clock: refusals that were only counted are written, what has expired is purged,
what was put forward and not approved in time ends, and the record verifies itself every night.
"""

from __future__ import annotations

from uuid import uuid4

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from audit.domain import Job
from audit.services import flush_denials
from audit.services.retention import apply

from .services import acting_job
from .services.notices import send_due
from .services.quorum import expire_motions as expire_due
from .services.self_checks import check_record


@shared_task
def write_counted_denials() -> int:
    """Write what was counted in the minutes that have passed. Returns how many entries."""
    return flush_denials(now=timezone.now())


@shared_task
def apply_retention() -> int:
    """Take away what has expired under the retention policy. Returns how many tombstones that took."""
    return sum(len(each.gone) for each in apply(by=Job("apply-retention", str(uuid4())), now=timezone.now()))


@shared_task
def verify_record() -> bool:
    """Recompute the whole record and record what came of it. Returns whether everything held."""
    return check_record(by=acting_job("verify-record", str(uuid4())), now=timezone.now())


@shared_task
def send_notices() -> int:
    """Send what waits to be sent outside the pages. Returns how many were taken."""
    return send_due(by=acting_job("send-notices", str(uuid4())), now=timezone.now()).accepted


@shared_task
def expire_motions() -> int:
    """End what was put forward and not approved in its time. Returns how many."""
    return expire_due(by=acting_job("expire-motions", str(uuid4())), now=timezone.now())


SEND, EXPIRE = 2.0, 300.0  # seconds between two rounds
SCHEDULE = {
    "send-notices": {"task": send_notices.name, "schedule": SEND, "options": {"expires": SEND}},
    "expire-motions": {"task": expire_motions.name, "schedule": EXPIRE, "options": {"expires": EXPIRE}},
    "verify-record": {
        "task": verify_record.name,
        "schedule": crontab(hour="2", minute="17"),
        "options": {"queue": "report", "expires": 3600.0},
    },
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
