"""What runs without being asked: the clock of the loops, for Celery's worker and beat.

Rules
 * A task reads the clock and makes one call. It carries identifiers only, and may run twice: every service it calls
   gives the same once more.
 * Windows and second looks are one task for each patient, so that a killed worker, a slow patient or a bug in one
   patient's evidence holds up nobody else. What beat hands out and nobody took before the next round is dropped: the
   next round finds it still due.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from audit.domain import Job
from governance.domain import BadInput
from governance.services import Acting, acting_job

from . import services
from .services import autonomy, break_glass, exports, first, probes, reviews, signed_rows


def _identifier(text: str) -> UUID:
    """The identifier that a message carries; whoever can write into the queue can send any text."""
    try:
        return UUID(text)
    except (ValueError, AttributeError, TypeError) as err:
        raise BadInput("The message names nothing by its identifier.", field="id") from err


def _as(name: str) -> Acting:
    return acting_job(name, str(uuid4()))


# A long export may take this many seconds of a worker; it must end before the broker takes its task for lost.
EXPORT_LIMIT = 800
EXPORTS, EXPIRE_EXPORTS, DRAW = 5.0, 3600.0, 86_400.0  # seconds between two rounds


@shared_task
def escalate() -> int:
    """Pass on every alert that nobody has acknowledged in time."""
    return services.escalate_alerts(by=_as("escalate-alerts"), now=timezone.now())


@shared_task
def expire() -> int:
    """End every recommendation past its time."""
    return services.expire_loops(by=_as("expire-loops"), now=timezone.now())


@shared_task
def close_window(patient_id: str) -> None:
    """Close one patient's window."""
    services.close_window(_identifier(patient_id), by=_as("close-windows"), now=timezone.now())


@shared_task
def close_due_windows() -> int:
    """Hand out every window that is due. Returns how many."""
    due = services.due_windows(now=timezone.now())
    for patient_id in due:
        close_window.apply_async([str(patient_id)], expires=WINDOWS)
    return len(due)


@shared_task
def look_again() -> int:
    """Look again at what waits, with the evidence of now. Returns how many were withdrawn."""
    return services.reevaluate_all(by=_as("look-again"), now=timezone.now())


@shared_task
def remind() -> int:
    """Remind patients of visits and measuring days. Returns how many reminders went out."""
    return services.remind(by=_as("remind"), now=timezone.now())


ESCALATE, EXPIRE, WINDOWS, LOOK_AGAIN, REMIND = 20.0, 60.0, 300.0, 900.0, 900.0  # seconds between two rounds


@shared_task(time_limit=EXPORT_LIMIT, soft_time_limit=EXPORT_LIMIT - 30)
def write_export(export_id: str) -> bool:
    """Write one export that was asked for. Returns whether it is there now."""
    return exports.run_export(_identifier(export_id), now=timezone.now())


@shared_task
def write_waiting_exports() -> int:
    """Hand out every export that waits, those of killed workers among them. Returns how many."""
    waiting = exports.waiting_exports()
    for export_id in waiting:
        write_export.apply_async([str(export_id)], queue="report", expires=EXPORTS)
    return len(waiting)


@shared_task
def expire_exports() -> int:
    """Take away the files of exports whose time is over. Returns how many."""
    return exports.expire_exports(now=timezone.now())


@shared_task
def draw_reviews() -> int:
    """Draw decisions for a second reading, and set the seed of the next draw. Returns how many were drawn."""
    made = reviews.draw_reviews(by=_as("draw-reviews"), now=timezone.now())
    return made.drawn if made is not None else 0


@shared_task
def begin_decide_first() -> bool:
    """Begin the rule by which some proposals are decided before they are shown. Returns whether it was new."""
    return first.begin_decide_first(by=_as("begin-decide-first"), now=timezone.now()) is not None


@shared_task
def place_probes() -> int:
    """Put a known-wrong proposal about nobody before each clinician whose turn came. Returns how many."""
    return probes.place_probes(by=_as("place-probes"), now=timezone.now())


@shared_task
def end_break_glass() -> int:
    """Write the end of every opening whose time or session is over. Returns how many."""
    return break_glass.end_lapsed(by=_as("end-break-glass"), now=timezone.now())


@shared_task
def check_signatures() -> bool:
    """Go over every signed row and record what came of it. Returns whether each still says what was signed."""
    by = Job("check-signatures", str(uuid4()))
    return not signed_rows.check_signatures_and_record(by=by, now=timezone.now()).found


@shared_task
def lower_autonomy() -> int:
    """Lower every ladder whose rules speak. Returns how many were lowered."""
    return autonomy.lower_by_rules(by=_as("lower-autonomy"), now=timezone.now())


def _every(seconds: float, task: Any) -> dict[str, Any]:
    return {"task": task.name, "schedule": seconds, "options": {"expires": seconds}}


SCHEDULE = {
    "escalate-alerts": _every(ESCALATE, escalate),
    "expire-loops": _every(EXPIRE, expire),
    "close-due-windows": _every(WINDOWS, close_due_windows),
    "look-again": _every(LOOK_AGAIN, look_again),
    "write-waiting-exports": _every(EXPORTS, write_waiting_exports),
    "expire-exports": _every(EXPIRE_EXPORTS, expire_exports),
    "remind": _every(REMIND, remind),
    "end-break-glass": _every(EXPIRE, end_break_glass),
    "draw-reviews": _every(DRAW, draw_reviews),
    "begin-decide-first": _every(WINDOWS, begin_decide_first),
    "place-probes": _every(WINDOWS, place_probes),
    "check-signatures": {
        "task": check_signatures.name,
        "schedule": crontab(hour="2", minute="47"),  # after the record has verified itself
        "options": {"queue": "report", "expires": 3600.0},
    },
    "lower-autonomy": _every(WINDOWS, lower_autonomy),
}
