"""The record verifies itself, on a schedule: what came of it is recorded, and a failure stays in sight.

The rules (PEERS 0 item 3: "nobody runs verify"; SECURITY 3.2)
 * The whole log is recomputed, in one unmoving view; nothing is repaired.
 * Every result is recorded as `log.verified`, in a chain of its own: with outcome `error` when something did not hold.
 * The newest result is found without the sequencer: a log that cannot grow any more still shows its alarm.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, transaction

from audit.domain import Event, Job, ObjectRef, Outcome, Purpose
from audit.models import ObjectVersion
from audit.selectors import next_version, payload_of
from audit.services import keys
from audit.services.recording import ObjectVersionTaken, append
from audit.services.verifying import verify_log
from audit.verification import Report

log = logging.getLogger(__name__)
OBJECT = "self_check"
LATE_AFTER = timedelta(hours=36)  # nightly, and half a day of grace


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What the last verification by the record itself found, and when it was recorded. `code` names what is wrong."""

    entry_id: UUID
    at: datetime
    verified: bool
    entries: int
    signed: int
    code: str
    detail: str
    position: int | None

    def late(self, now: datetime) -> bool:
        """Whether the next one is overdue."""
        return now - self.at > LATE_AFTER


def verify_and_record(*, by: Job, now: datetime, using: str = DEFAULT_DB_ALIAS) -> Report:
    """Recompute the whole record and record what came of it."""
    report, pending = verify_log(using=using)
    bad = report.first_bad
    if bad is not None:
        log.error("the record does not verify: %s at %s: %s", bad.code, bad.position, bad.detail)
    said = {
        "verified": report.verified,
        "entries": report.entries,
        "signed": report.signed,
        "cosigned": report.cosigned,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "shredded": report.shredded,
        "pending": pending,
        "code": bad.code if bad else None,
        "detail": bad.detail[:500] if bad else None,
        "position": bad.position if bad else None,
    }
    origin = keys.origin()
    event = Event(
        type="log.verified",
        occurred_at=now,
        actor=by,
        object=ObjectRef(OBJECT, origin, next_version(OBJECT, origin, using=using)),
        purpose=Purpose.AUDIT,
        outcome=Outcome.OK if report.verified else Outcome.ERROR,
        payload={name: value for name, value in said.items() if value is not None},
    )
    try:
        with transaction.atomic(using=using):
            append(event, using=using)
    except ObjectVersionTaken:
        log.warning("another verification was recorded at the same moment; this one is not")
    return report


def last_check(*, using: str = DEFAULT_DB_ALIAS) -> SelfCheck | None:
    """The newest result; None when there has been none, or when its content cannot be read any more."""
    named = ObjectVersion.objects.using(using).filter(object_type=OBJECT, object_id=keys.origin())
    newest = named.order_by("-version").values_list("entry_id", flat=True).first()
    said = payload_of(newest, using=using) if newest else None
    if newest is None or not isinstance(said, Mapping):
        return None
    # An entry's id begins with the milliseconds of the database's clock at which it was written.
    at = datetime.fromtimestamp((newest.int >> 80) / 1000, tz=UTC)
    return SelfCheck(
        newest,
        at,
        bool(said["verified"]),
        int(said["entries"]),
        int(said["signed"]),
        str(said.get("code", "")),
        str(said.get("detail", "")),
        said.get("position"),
    )
