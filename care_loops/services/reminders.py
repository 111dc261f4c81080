"""What a patient is reminded of: a visit to come, days to measure. Once each, on the clock of the loops (CLI-13).

Rules
 * A reminder, its entry and its outbox line are one transaction; that it was sent is a row that can stand once.
 * It stands on the patient's phone. Channels beside it are adapters of a site: the outbox line carries no words.
"""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from django.db import transaction

from audit.services import enqueue
from governance.services import Acting

from ..models import Reminder
from ..pathways.hypertension.tables_readings import visit_rule
from ..selectors.visits import DueReminder, not_yet_reminded, reminders_due
from .events import note
from .whose import locked_record

TOPIC = "patient.remind"


def remind(*, by: Acting, now: datetime) -> int:
    """Remind every patient of what is due. Returns how many reminders went out; a second call sends none again."""
    return sum(_send(one, by=by, now=now) for one in not_yet_reminded(reminders_due(visit_rule(), now=now)))


def _send(due: DueReminder, *, by: Acting, now: datetime) -> bool:
    with transaction.atomic():
        patient = locked_record(due.patient_id)
        if not not_yet_reminded([due]):  # another clock was first
            return False
        reminder_id = uuid4()
        entry = note(
            "reminder.sent",
            of=("reminder", reminder_id, 1),
            by=by,
            now=now,
            patient_id=patient.pk,
            payload={"kind": due.kind, "about": due.about, "due_on": due.due_on.isoformat()},
        )
        Reminder.objects.create(
            id=reminder_id,
            patient=patient,
            kind=due.kind,
            about=due.about,
            due_on=due.due_on,
            sent_at=now,
            entry=entry.entry_id,
        )
        enqueue(TOPIC, {"reminder": str(reminder_id)})
        return True
