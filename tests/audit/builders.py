"""Events to record, and how a test looks at the record afterwards."""

import time
from datetime import UTC, datetime

from django.db import connection, transaction

from audit.domain import Event, Job, ObjectRef, Outcome, Person
from audit.models import Entry
from audit.services import append, sequence_batch, sequence_until_empty
from audit.services.publishing import publish
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


PATIENCE_S = 240  # another process of the tests may keep one transaction open for all tests of a module


def settle() -> None:
    """Wait until every transaction older than what is pending has ended: those of other databases here count too."""
    deadline = time.monotonic() + PATIENCE_S
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT bool_and(txid < pg_snapshot_xmin(pg_current_snapshot())) FROM audit_pending")
            if cursor.fetchone()[0] is not False:
                return
            assert time.monotonic() < deadline, "a transaction has been open for minutes"
            time.sleep(0.02)


def number(**how) -> int:
    """One batch of the sequencer, once nothing holds it up, and its checkpoint."""
    settle()
    done = sequence_batch(**how)
    publish()
    return done


def complete() -> int:
    """Everything numbered and signed; how many entries that numbered."""
    done = sequence_until_empty()
    publish()
    return done


def first_bad():
    """What verification finds first, as (code, position, entry id); None when everything holds."""
    bad = verify_log()[0].first_bad
    return bad and (bad.code, bad.position, bad.entry_id)


def id_at(position: int) -> str:
    """The id of the entry at a position."""
    return str(Entry.objects.get(position=position).entry_id)


def cut_back(c, size: int) -> None:
    """The tail and everything that speaks of it, taken out cleanly."""
    c.execute(
        "DELETE FROM audit_payloadkey k USING audit_payload p, audit_entry e"
        " WHERE p.id = k.payload_id AND e.entry_id = p.entry_id AND e.position >= %s",
        [size],
    )
    c.execute(
        "DELETE FROM audit_payload WHERE entry_id IN (SELECT entry_id FROM audit_entry WHERE position >= %s)", [size]
    )
    c.execute(
        "DELETE FROM audit_objectversion WHERE entry_id IN (SELECT entry_id FROM audit_entry WHERE position >= %s)",
        [size],
    )
    c.execute("DELETE FROM audit_entry WHERE position >= %s", [size])
    c.execute("DELETE FROM audit_treestate WHERE size > %s", [size])
    c.execute("DELETE FROM audit_checkpoint WHERE size > %s", [size])
    c.execute("DELETE FROM audit_cosignature WHERE size > %s", [size])
