"""Messages to people outside the pages: planned with what they follow from, sent after it, and what became of each.

Rules (SECURITY 4: effect ledger; DBT-03)
 * A notice is planned in the transaction of what it follows from, once for each address, with its entry.
 * A try is written and committed before it is made. A crash between the two leads to one more try under the same key,
   by which a provider knows the message again; never to none.
 * It is taken, or tried again later each time, or has failed by name, with an entry. An address that its provider
   refuses for good ends.
 * A provider's receipt moves what was taken to what arrived, and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction

from audit.domain import Event, ObjectRef, Purpose
from audit.selectors import next_version
from audit.services import append

from ..channels import Channel, NoticeKind, NoticeState, channel_rules, next_try, words
from ..domain import NotFound, Permission, Relation
from ..models import Notice, NoticeTry
from ..permissions import check
from ..selectors.notices import addresses, reachable
from .acting import Acting
from .channels import AddressRefused, Unreachable, configured, send

URGENT = frozenset({NoticeKind.ALERT, NoticeKind.UNCOVERED, NoticeKind.ALARM})
BATCH = 200


@dataclass(frozen=True, slots=True)
class SentReport:
    """What one round did, in notices."""

    accepted: int = 0
    later: int = 0
    failed: int = 0


def plan(
    kind: NoticeKind, about: str, users: Iterable[UUID], *, grave: str = "", level: int = 0, by: Acting, now: datetime
) -> int:
    """Plan a notice for every address of these people, in the caller's transaction. Returns how many are new."""
    there, planned = configured(), 0
    for contact in reachable(users):
        known = Notice.objects.filter(kind=kind.value, about=about, level=level, contact=contact)
        if Channel(contact.channel) not in there or known.exists():
            continue
        row = Notice(
            id=uuid4(),
            kind=kind.value,
            about=about,
            grave=grave,
            level=level,
            contact=contact,
            planned_at=now,
            next_try_at=now,
            state=NoticeState.PLANNED.value,
        )
        row.entry = _enter("notice.planned", row, by=by, now=now)
        row.save(force_insert=True)
        planned += 1
    return planned


def send_due(*, by: Acting, now: datetime) -> SentReport:
    """Send what is due, each in transactions of its own. Returns what came of it."""
    done = {"accepted": 0, "later": 0, "failed": 0}
    for _ in range(BATCH):
        claimed = claim(now=now)
        if claimed is None:
            break
        done[_send(claimed, by=by, now=now)] += 1
    return SentReport(**done)


def claim(*, now: datetime) -> Notice | None:
    """The next notice that is due, with its try written down and nobody else to take it for a while."""
    with transaction.atomic():
        due = Notice.objects.filter(state=NoticeState.PLANNED.value, next_try_at__lte=now)
        row = due.select_for_update(skip_locked=True, of=("self",)).order_by("next_try_at").first()
        if row is None:
            return None
        row.tried += 1
        row.next_try_at = now + timedelta(seconds=3 * channel_rules().timeout_s)
        row.save(update_fields=["tried", "next_try_at"])
        NoticeTry.objects.create(notice=row, number=row.tried, outcome="begun", at=now)
        return row


def _send(row: Notice, *, by: Acting, now: datetime) -> str:
    """Make the try and keep what came of it: `accepted`, `later` or `failed`."""
    contact = row.contact
    (to,) = addresses([contact])
    kind = NoticeKind(row.kind)
    said = words(kind, grave=row.grave, level=row.level, place=settings.PUBLIC_URL)
    if to is None or contact.ended_at is not None:
        return _settle(row, "refused", "address-ended", by=by, now=now)
    try:
        reference = send(Channel(contact.channel), to, said, key=str(row.pk), urgent=kind in URGENT, now=now)
    except AddressRefused as refused:
        return _settle(row, "refused", refused.code, by=by, now=now)
    except Unreachable as fault:
        return _settle(row, "unreachable", fault.code, by=by, now=now)
    return _settle(row, "accepted", reference, by=by, now=now)


def _settle(row: Notice, outcome: str, reference: str, *, by: Acting, now: datetime) -> str:
    with transaction.atomic():
        locked = Notice.objects.select_for_update(of=("self",)).get(pk=row.pk)
        NoticeTry.objects.create(notice=locked, number=row.tried, outcome=outcome, at=now, reference=reference[:120])
        if locked.state != NoticeState.PLANNED.value:  # another try, after this one's lease, was first
            return "accepted"
        again = next_try(row.tried, now=now, rules=channel_rules()) if outcome == "unreachable" else None
        if again is not None:
            locked.next_try_at = again
            locked.save(update_fields=["next_try_at"])
            return "later"
        taken = outcome == "accepted"
        state = NoticeState.ACCEPTED if taken else NoticeState.FAILED
        _move(locked, state, reason=None if taken else reference, by=by, now=now)
        return "accepted" if taken else "failed"


def _move(row: Notice, state: NoticeState, *, reason: str | None, by: Acting, now: datetime) -> None:
    row.state, row.next_try_at = state.value, None
    _enter(f"notice.{state.value}", row, reason=reason, by=by, now=now)
    row.save(update_fields=["state", "next_try_at"])


def receipt_fits(body: bytes, signature: str) -> bool:
    """Whether a gateway's receipt was made with the token that this site shares with it: HMAC-SHA256 over the body."""
    token = settings.CHANNEL_SMS_TOKEN
    made = hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
    return bool(token) and hmac.compare_digest(made, signature)


def delivered(reference: str, *, by: Acting, now: datetime) -> None:
    """The gateway says that the message it knows by `reference` has arrived. Twice is once. Raises NotFound."""
    with transaction.atomic():
        made = NoticeTry.objects.filter(outcome="accepted", reference=reference, notice__contact__channel="sms")
        found = made.values_list("notice", flat=True).first()
        row = Notice.objects.select_for_update(of=("self",)).filter(pk=found).first() if found else None
        if row is None:
            raise NotFound("There is no such message.")
        if row.state == NoticeState.ACCEPTED.value:
            _move(row, NoticeState.DELIVERED, reason=None, by=by, now=now)


def try_channels(*, by: Acting, now: datetime) -> int:
    """Send a test to every address of one's own. Returns how many were planned; the rota shows what came of it."""
    acted = by.under(check(Permission.STAND_IN, by.standing, frozenset({Relation.SITE})))
    with transaction.atomic():
        return plan(NoticeKind.TEST, f"test:{now.isoformat()}", [by.person().pk], by=acted, now=now)


def _enter(kind: str, row: Notice, *, reason: str | None = None, by: Acting, now: datetime) -> UUID:
    key = str(row.pk)
    event = Event(
        type=kind,
        occurred_at=now,
        actor=by.actor,
        on_behalf_of=by.on_behalf_of,
        object=ObjectRef(type="notice", id=key, version=next_version("notice", key)),
        purpose=Purpose.SAFETY,
        reason_code=reason,
        payload={
            "kind": row.kind,
            "about": row.about,
            "level": row.level,
            "user": str(row.contact.user_id),
            "channel": row.contact.channel,
        },
    )
    return append(event).entry_id
