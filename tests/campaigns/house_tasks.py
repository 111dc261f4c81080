"""What the killed worker of Celery does: a reading taken in, once however often the task is delivered."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from django.db import Error

from care_loops.services import take_in
from governance.services import acting_device
from tests.factories import arrival_of


@shared_task(autoretry_for=(Error,), default_retry_delay=1, max_retries=200, queue="ingest")
def take_one(patient: str, name: str, number: int, now: str) -> None:
    """Store the reading of that name."""
    moment = datetime.fromisoformat(now)
    at = moment - timedelta(minutes=5 + 3 * number)
    arrival = arrival_of(131, 83, at=at, source_id=name)
    take_in(UUID(patient), [arrival], by=acting_device("cuff-1"), now=moment, received_at=moment)
