"""Legal holds: named, placed and released by somebody with a basis and another's approval, each beside its entry.

The rules (21 CFR 11.10(c); 45 CFR 164.316(b)(2))
 * A hold is on one person or on everything. While it is open nothing of that is shredded, purged or detached: who does
   these asks `holds_for`, and the database asks again (migration 0007).
 * A name is used once: a hold that was released stays in the table and in the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import entries
from audit.domain import Actor, Appended, Event, ObjectRef, Person, Purpose
from audit.entries import CODE
from audit.models import LegalHold
from audit.selectors import next_version
from audit.services import keys
from audit.services.recording import append
from audit.services.shredding import Lawful


class HoldRefused(Exception):
    """A refusal; `code` names the rule, `detail` says more."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as it stands. `subject` is a person's pseudonym, None for everything."""

    name: str
    subject: str | None
    placed_at: datetime
    released_at: datetime | None


def place_hold(
    name: str, *, subject: str | None, lawful: Lawful, by: Actor, now: datetime, using: str = DEFAULT_DB_ALIAS
) -> Appended:
    """Place a hold on a person (by the identifier their events carry), or with no subject on everything.

    Raises HoldRefused: name, basis, approver, name-taken. ObjectVersionTaken when somebody else is just doing it.
    """
    _check(name, lawful, by)
    pseudonym = entries.pseudonym(subject, tenant_key=keys.tenant_key()) if subject else None
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        if LegalHold.objects.using(using).filter(name=name).exists():
            raise HoldRefused("name-taken", f"{name}: a released hold keeps its name; choose another")
        done = append(_said("hold.placed", name, lawful, by, now, subject, using), using=using)
        cursor.execute("INSERT INTO audit_legalhold (name, subject) VALUES (%s, %s)", [name, pseudonym])
    return done


def release_hold(name: str, *, lawful: Lawful, by: Actor, now: datetime, using: str = DEFAULT_DB_ALIAS) -> Appended:
    """End a hold. Raises HoldRefused: name, basis, approver, no-such-hold, already-released."""
    _check(name, lawful, by)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT released_at FROM audit_legalhold WHERE name = %s FOR NO KEY UPDATE", [name])
        if (row := cursor.fetchone()) is None:
            raise HoldRefused("no-such-hold", name)
        if row[0] is not None:
            raise HoldRefused("already-released", name)
        done = append(_said("hold.released", name, lawful, by, now, None, using), using=using)
        cursor.execute("UPDATE audit_legalhold SET released_at = clock_timestamp() WHERE name = %s", [name])
    return done


def all_holds(*, using: str = DEFAULT_DB_ALIAS) -> tuple[Hold, ...]:
    """Every hold there ever was, the open ones first."""
    rows = LegalHold.objects.using(using).order_by("-released_at", "name")  # NULL comes first when descending
    return tuple(Hold(row.name, row.subject, row.placed_at, row.released_at) for row in rows)


def _check(name: str, lawful: Lawful, by: Actor) -> None:
    if CODE.fullmatch(name) is None:
        raise HoldRefused("name", "a name is a code, such as litigation-2026-4")
    if CODE.fullmatch(lawful.basis) is None:
        raise HoldRefused("basis", "name the basis as a code, such as court-order-2026-4")
    if not lawful.approver.strip() or len(lawful.approver) > 200:
        raise HoldRefused("approver", "name the person who approved it")
    if isinstance(by, Person) and by.id == lawful.approver.strip():
        raise HoldRefused("approver", "who approves it is another than who does it")


def _said(kind: str, name: str, lawful: Lawful, by: Actor, now: datetime, subject: str | None, using: str) -> Event:
    return Event(
        type=kind,
        occurred_at=now,
        actor=by,
        object=ObjectRef("hold", name, next_version("hold", name, using=using)),
        purpose=Purpose.LEGAL,
        subject=subject,
        reason_code=lawful.basis,
        payload={"approver": lawful.approver.strip(), "basis": lawful.basis},
    )
