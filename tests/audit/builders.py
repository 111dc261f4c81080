"""Events to record, and how a test looks at the record afterwards."""

from datetime import UTC, datetime

from django.db import transaction

from audit.domain import Event, Job, ObjectRef, Outcome, Person
from audit.services import append
from audit.services.verifying import verify_log

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = Job("close-windows", "run-1")
DR_LEE = Person("17", "clinician", session="a-session")


def event(name="loop-1", version=1, *, kind="window.closed", **fields) -> Event:
    """A closed window unless told otherwise."""
    given = {"subject": "patient-7", "payload": {"mean": "135.5 mm[Hg]"}} | fields
    return Event(
        type=kind, occurred_at=NOON, actor=given.pop("actor", JOB), object=ObjectRef("loop", name, version), **given
    )


def denial(**fields) -> Event:
    """A clinician refused at somebody's page."""
    given = {"reason_code": "not-in-care-team", "outcome": Outcome.DENIED, "payload": None} | fields
    return event("page-1", None, kind="access.denied", actor=given.pop("actor", DR_LEE), **given)


def record(*events: Event) -> list:
    """Append events in one transaction of their own."""
    with transaction.atomic():
        return [append(each) for each in events]


def first_bad():
    """What verification finds first, as (code, position, entry id); None when everything holds."""
    bad = verify_log()[0].first_bad
    return bad and (bad.code, bad.position, bad.entry_id)
