"""Who is on call, where people can be reached, what has gone out, and whether somebody watches at all.

Rules
 * A pathway is attended while somebody stands on the first rung at every moment ahead, and a channel by which that rung
   is reached was tested lately and worked (DBT-03). Else its patients are told; a reason is named, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from audit.services.personal import SealedRow, open_many

from ..channels import Channel, NoticeKind, NoticeState, channel_rules
from ..cover import Gap, Rung, Shift, StandIn, gaps, on_call
from ..models import ContactPoint, Notice, OnCallShift

TABLE, COLUMN = "governance_contactpoint", "address"
ARRIVED = (NoticeState.ACCEPTED.value, NoticeState.DELIVERED.value)


@dataclass(frozen=True, slots=True)
class Attended:
    """Whether the site watches; where it does not, why: `nobody_on_call`, `channel_not_tested`."""

    why_not: tuple[str, ...]
    gaps: tuple[Gap, ...]

    def __bool__(self) -> bool:
        return not self.why_not


def shift_rows(*, starts: datetime, ends: datetime) -> QuerySet[OnCallShift]:
    """Shifts that touch [starts, ends) and were not called off, earliest first."""
    rows = OnCallShift.objects.filter(called_off_at__isnull=True, ends__gt=starts, starts__lt=ends)
    return rows.filter(user__is_active=True).select_related("user").prefetch_related("covers__user").order_by("starts")


def shifts(*, starts: datetime, ends: datetime) -> tuple[Shift, ...]:
    """The same as values; people by identifier. Who has left stands in for nobody."""
    return tuple(_shift(row) for row in shift_rows(starts=starts, ends=ends))


def _shift(row: OnCallShift) -> Shift:
    covers = sorted((one for one in row.covers.all() if one.user.is_active), key=lambda one: one.taken_at)
    standing = tuple(StandIn(str(one.user_id), one.starts, one.ends) for one in covers)
    return Shift(Rung(row.rung), str(row.user_id), row.starts, row.ends, standing)


def on_call_now(rung: Rung, *, now: datetime) -> tuple[UUID, ...]:
    """Who is on that rung at this moment."""
    rules = channel_rules()
    return tuple(UUID(person) for person in on_call(shifts(starts=now, ends=now + rules.retry_after), rung, now))


def reachable(users: Iterable[UUID]) -> QuerySet[ContactPoint]:
    """Their confirmed addresses that have not ended."""
    live = ContactPoint.objects.filter(user__in=list(users), confirmed_at__isnull=False, ended_at__isnull=True)
    return live.filter(user__is_active=True).order_by("added_at")


def contact_points(user_id: UUID) -> list[tuple[ContactPoint, str]]:
    """A person's own addresses in the clear, ended ones left out."""
    rows = list(ContactPoint.objects.filter(user_id=user_id, ended_at__isnull=True).order_by("added_at"))
    return list(zip(rows, (address or "" for address in addresses(rows)), strict=True))


def addresses(rows: Iterable[ContactPoint]) -> list[str | None]:
    """The addresses in the clear; None where the person's key was destroyed."""
    sealed = [SealedRow(TABLE, str(row.pk), {COLUMN: row.address}) for row in rows]
    return [fields[COLUMN] if fields is not None else None for fields in open_many(sealed)]


def tested_channels(*, now: datetime) -> Mapping[Channel, datetime]:
    """When each channel last took a test, of those lately enough to count."""
    since = now - channel_rules().test_counts
    rows = Notice.objects.filter(kind=NoticeKind.TEST.value, state__in=ARRIVED, planned_at__gte=since)
    found = rows.order_by("planned_at").values_list("contact__channel", "planned_at")
    return {Channel(channel): at for channel, at in found}


def failed_notices(*, limit: int = 20) -> QuerySet[Notice]:
    """What did not go out, newest first."""
    rows = Notice.objects.filter(state=NoticeState.FAILED.value).select_related("contact__user")
    return rows.order_by("-planned_at")[:limit]


def attended(*, now: datetime) -> Attended:
    """Whether somebody is reached at every hour ahead."""
    ends = now + channel_rules().cover_ahead
    uncovered = gaps(shifts(starts=now, ends=ends), Rung.ON_CALL, starts=now, ends=ends)
    why = [*(["nobody_on_call"] if uncovered else []), *([] if tested_channels(now=now) else ["channel_not_tested"])]
    return Attended(tuple(why), uncovered)
