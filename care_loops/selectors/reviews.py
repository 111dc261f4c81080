"""Second reviews: what waits for this person, and what came of those that are done.

Rules
 * A work list names patients only to who may read their record; counts name nobody.
 * Whether two readings differ is told by what was decided before the first was shown, not by what was said after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from governance.selectors.sight import Wider, looking_wider
from governance.services import Acting

from ..models import ReviewDraw, SecondReview
from .access import patients_of


@dataclass(frozen=True, slots=True)
class Rate:
    """Of decisions with one mark of risk: drawn, read, read differently, concerns raised."""

    mark: str
    drawn: int
    read: int
    differed: int
    concerns: int


def waiting_for(by: Acting, *, now: datetime) -> QuerySet[SecondReview]:
    """Drawn decisions this person may read, did not take, and that are not concluded by somebody else."""
    mine = SecondReview.objects.filter(drawn=True, decision__loop__patient__in=patients_of(by, now=now))
    open_ones = mine.exclude(decided_by=by.person()).filter(reading__verdict__isnull=True)
    unread = open_ones.filter(reading__isnull=True) | open_ones.filter(reading__reader=by.person())
    return unread.select_related("decision__loop__patient", "reading").order_by("-draw__drawn_at", "-tickets", "pk")


@looking_wider(Wider.OVERSIGHT)
def rates(marks: Iterable[str]) -> list[Rate]:
    """How drawn decisions were read, over all (an empty mark) and by mark of risk."""
    rows = list(SecondReview.objects.filter(drawn=True).select_related("decision", "reading__verdict"))
    counted: dict[str, Counter[str]] = {mark: Counter() for mark in ("", *marks)}
    for row in rows:
        reading = getattr(row, "reading", None)
        verdict = getattr(reading, "verdict", None)
        for mark in ("", *row.marks):
            found = counted.setdefault(mark, Counter())
            found["drawn"] += 1
            found["read"] += reading is not None
            found["differed"] += reading is not None and reading.kind != row.decision.kind
            found["concerns"] += verdict is not None and verdict.verdict == "concern"
    return [Rate(m, f["drawn"], f["read"], f["differed"], f["concerns"]) for m, f in counted.items()]


def draws(limit: int = 20) -> QuerySet[ReviewDraw]:
    """The newest draws."""
    return ReviewDraw.objects.select_related("seed").order_by("-drawn_at")[:limit]
