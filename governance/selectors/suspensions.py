"""What is suspended now, asked of the table at every act. Nothing here is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from ..models import Suspension, SuspensionEnd, SuspensionEndAsked
from ..suspension import EVERYTHING, Cause, Ref, Scope, Stopped, touching


def standing() -> tuple[Stopped, ...]:
    """Every suspension that stands, oldest first."""
    rows = Suspension.objects.filter(end__isnull=True).order_by("began_at", "pk")
    return tuple(_stopped(row) for row in rows)


def stopping(refs: frozenset[Ref]) -> tuple[Stopped, ...]:
    """Those that touch any of `refs`: one look at the table, in the caller's transaction."""
    return touching(standing(), refs)


def kill_switch_thrown() -> bool:
    """Whether a kill switch for everything stands."""
    return any(one.ref == EVERYTHING and one.cause is Cause.KILL_SWITCH for one in standing())


def _stopped(row: Suspension) -> Stopped:
    return Stopped(row.pk, Scope(row.scope), row.name, Cause(row.cause), row.reason, row.began_at)


@dataclass(frozen=True, slots=True)
class SuspensionSeen:
    """One suspension as the pages show it: who began it, who asked for its end, how it ended."""

    row: Suspension
    asked: tuple[SuspensionEndAsked, ...]
    end: SuspensionEnd | None


def all_suspensions(*, ended_since: datetime) -> list[SuspensionSeen]:
    """Those that stand, and those that ended since, newest first."""
    rows = Suspension.objects.filter(Q(end__isnull=True) | Q(end__ended_at__gte=ended_since))
    rows = rows.select_related("began_by", "end__ended_by").prefetch_related("asked__asked_by")
    return [
        SuspensionSeen(row, tuple(row.asked.all()), getattr(row, "end", None))
        for row in rows.order_by("-began_at", "pk")
    ]


def suspensions_of(refs: Iterable[Ref]) -> list[Suspension]:
    """Those that stand on exactly these things."""
    wanted = Q(pk__in=[])
    for ref in refs:
        wanted |= Q(scope=ref.scope.value, name=ref.name)
    return list(Suspension.objects.filter(wanted, end__isnull=True).order_by("began_at", "pk"))
