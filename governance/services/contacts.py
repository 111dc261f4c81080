"""Where people can be reached: they add an address, prove that it is theirs, and take it away again.

Rules (NIST SP 800-63B 5.1.3)
 * An address counts once the code that went there came back in time; its few tries are counted. It is kept sealed.
 * A push address has no words: it counts when its service took a first message.
 * Only its person adds, confirms or ends it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append
from audit.services.personal import seal

from ..channels import Channel, NoticeKind, channel_rules, checked_address, words
from ..domain import BadInput, Fault, NotFound, Refusal
from ..models import ContactPoint
from ..selectors.notices import COLUMN, TABLE
from .acting import Acting
from .channels import AddressRefused, Unreachable, configured, send


class CodeOver(Refusal):
    """The code is wrong, too old, or was tried too often."""

    code = "contact_code_over"
    status = 422


def add_contact(channel: Channel, address: str, *, by: Acting, now: datetime) -> ContactPoint:
    """Add an address of one's own; a code goes there. Raises BadInput, Fault when the channel cannot be reached."""
    if channel not in configured():
        raise BadInput("This site does not reach anybody that way.", field="channel", problem="not_configured")
    said = checked_address(channel, address, push_hosts=frozenset(settings.CHANNEL_PUSH_HOSTS))
    person = by.person()
    row_id = uuid4()
    code = f"{secrets.randbelow(10 ** channel_rules().code_digits):0{channel_rules().code_digits}d}"
    by_push = channel is Channel.PUSH
    with transaction.atomic():
        row = ContactPoint(id=row_id, user=person, channel=channel.value, added_at=now)
        sealed = seal(str(person.pk), table=TABLE, row_id=str(row_id), values={COLUMN: said})[COLUMN]
        row.address, row.code_sha256 = sealed or b"", "" if by_push else _digest(row_id, code)
        row.entry = _enter("contact.added", row, by=by, now=now)
        row.save(force_insert=True)
    try:
        send(channel, said, words(NoticeKind.CODE, grave=code), key=str(uuid4()), urgent=True, now=now)
    except AddressRefused as refused:
        end_contact(row_id, by=by, now=now)
        raise BadInput("Nothing can be sent there.", field="address", problem=refused.code) from refused
    except Unreachable as fault:
        end_contact(row_id, by=by, now=now)
        raise Fault(f"the code could not be sent: {fault.code}") from fault
    return _confirm(row_id, by=by, now=now) if by_push else row


def confirm_contact(contact_id: UUID, code: str, *, by: Acting, now: datetime) -> ContactPoint:
    """The code came back: the address counts. A wrong one is counted before it is refused."""
    rules = channel_rules()
    with transaction.atomic():
        row = _own(contact_id, by)
        if row.confirmed_at is not None:
            return row
        open_still = row.code_tries < rules.code_attempts and now - row.added_at < rules.code_lives
        ContactPoint.objects.filter(pk=row.pk).update(code_tries=row.code_tries + 1)
        right = open_still and hmac.compare_digest(row.code_sha256, _digest(row.pk, code.strip()))
    if not right:
        raise CodeOver("That is not the code that was sent, or its time is over. Add the address again.", field="code")
    return _confirm(contact_id, by=by, now=now)


def _confirm(contact_id: UUID, *, by: Acting, now: datetime) -> ContactPoint:
    with transaction.atomic():
        row = _own(contact_id, by)
        row.confirmed_at, row.code_sha256 = now, ""
        _enter("contact.confirmed", row, by=by, now=now)
        row.save(update_fields=["confirmed_at", "code_sha256"])
        return row


def end_contact(contact_id: UUID, *, by: Acting, now: datetime) -> None:
    """Nothing goes to this address any more."""
    with transaction.atomic():
        row = _own(contact_id, by)
        row.ended_at = now
        _enter("contact.ended", row, by=by, now=now)
        row.save(update_fields=["ended_at"])


def _own(contact_id: UUID, by: Acting) -> ContactPoint:
    rows = ContactPoint.objects.select_for_update().filter(pk=contact_id, user=by.person(), ended_at__isnull=True)
    row = rows.first()
    if row is None:
        raise NotFound("There is no such address of yours.")
    return row


def _enter(kind: str, row: ContactPoint, *, by: Acting, now: datetime) -> UUID:
    key = str(row.pk)
    event = Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=ObjectRef(type="contact_point", id=key, version=next_version("contact_point", key)),
        purpose=Purpose.OPERATIONS,
        payload={"user": str(row.user_id), "channel": row.channel},
    )
    return append(event).entry_id


def _digest(contact_id: UUID, code: str) -> str:
    return hashlib.sha256(f"{contact_id}:{code}".encode()).hexdigest()
